import { execFile } from "node:child_process";
import { networkInterfaces } from "node:os";
import { addressOf, IpFailure, type OwnRoutes, PeerWays, type RunIp, type Way } from "./peer-ways.ts";
import { contains, formatPrefix, hostPrefix, parsePrefix, type Prefix } from "./prefix.ts";

/** Marks our routes in the kernel's tables. Not a number of rtnetlink(7) or of a routing daemon (186 is BGP). */
export const routeProtocol = 213;
/** The same of a gateway whose packets follow policies: there is one in a network namespace, so all of them are its own. */
export const policyRouteProtocol = 214;

/** What marks ours, of whichever plane. */
export const ownProtocols: readonly number[] = [routeProtocol, policyRouteProtocol];

/** One link's share of the routing table. */
export interface LinkRoutes {
  readonly linkId: string;
  readonly localNetworks: readonly string[];
  readonly remoteNetworks: readonly string[];
  /** Literal outside addresses of the peer: they must stay outside of the tunnel. */
  readonly peers: readonly string[];
  /** Largest packet that the link takes. */
  readonly mtu: number;
  /** What it is routed into. Absent: what all links are. */
  readonly device?: string;
}

interface Route {
  readonly destination: string;
  readonly family: 4 | 6;
  readonly device: string;
  /** What follows the destination in `ip route add`. */
  readonly options: readonly string[];
  readonly isIntoTunnel: boolean;
}

/**
 * The routes that lead remote networks into the TUN device, or the link's own interface, or without a device, where policies decide, along the way to the
 * peer: those are there for the source address, and so that there is a route at all. Each is marked with our protocol number; a route that someone else
 * made is neither replaced nor removed. Routes into the device vanish with it, so a killed agent leaves none; the host routes
 * that keep a peer outside its own tunnel do not: by their mark they are taken over at the next start.
 */
export class Routes {
  readonly #device: string | null;
  readonly #protocol: number;
  readonly #ip: RunIp;
  readonly #ways: PeerWays;
  /** By destination: the kernel has one route of ours to each, whoever wants it. */
  readonly #installed = new Map<string, Route>();
  readonly #intoTunnel = new Map<string, readonly string[]>();

  /** `device` null: the kernel's policies take packets from whatever route they are on. */
  constructor(device: string | null, ip: RunIp = runIp) {
    this.#device = device;
    this.#protocol = device === null ? policyRouteProtocol : routeProtocol;
    this.#ip = ip;
    this.#ways = new PeerWays(ip);
  }

  /** Removes what a killed agent with this device left behind, or one that followed policies. */
  async removeLeftovers(): Promise<void> {
    const which = [...(this.#device === null ? [] : ["dev", this.#device]), "proto", String(this.#protocol)];
    for (const family of ["-4", "-6"]) await this.#ip([family, "route", "flush", ...which]).catch(() => undefined);
  }

  /** Adds what is missing, removes what no link needs any more. Returns a sentence for each route that could not be set, by link. */
  async apply(links: readonly LinkRoutes[]): Promise<Map<string, string>> {
    const faults = new Map<string, string>();
    const wanted = await this.#wanted(links, faults);
    await this.#change([...wanted.values()].map(({ route }) => route));
    const surplus = [...this.#installed.values()].filter(({ destination }) => !wanted.has(destination));
    for (const { destination } of surplus) this.#installed.delete(destination);
    // One that is gone already, for example with its device, is what was wanted.
    await this.#batch("del", surplus);
    const missing = [...wanted.values()].filter(({ route }) => !this.#installed.has(route.destination));
    const refused = await this.#batch(
      "add",
      missing.map(({ route }) => route),
    );
    for (const { route, linkId } of missing) {
      const outcome = refused.has(route) ? await this.#addAlone(route) : "set";
      if (outcome === "set") this.#installed.set(route.destination, route);
      else if (outcome !== "done by another") faults.set(linkId, outcome.fault);
    }
    return faults;
  }

  /**
   * One route for each destination. Several links may want it, with the address of another local network as source for example: the first has it, and when
   * that is gone the next. Before all links come the peers: one that is a remote network as well stays outside.
   */
  async #wanted(links: readonly LinkRoutes[], faults: Map<string, string>): Promise<Map<string, WantedRoute>> {
    const wanted = new Map<string, WantedRoute>();
    const outside = peersOutside(links, this.#device);
    const own = this.#own(links);
    const asked = this.#device === null ? links.flatMap(({ peers }) => peers).flatMap((peer) => hostPrefix(peer) ?? []) : [...outside.keys()];
    const ways = await this.#ways.find(new Map(asked.map((host) => [formatPrefix(host), host])), own);
    for (const [host, { linkId, isSwallowed }] of outside) {
      const destination = formatPrefix(host);
      const way = ways.get(destination);
      if (way === "local") continue;
      const route = way === undefined ? this.#known(destination) : routeAlong(host, way);
      if (route !== null) wanted.set(destination, { route, linkId });
      else if (isSwallowed)
        faults.set(linkId, `there is no route to the peer ${addressOf(destination)} beside those into a tunnel; add one to let the link reach it`);
    }
    for (const link of links)
      for (const route of this.#routesOf(link, ways)) if (!wanted.has(route.destination)) wanted.set(route.destination, { route, linkId: link.linkId });
    return wanted;
  }

  #own(links: readonly LinkRoutes[]): OwnRoutes {
    const installed = [...this.#installed.values()];
    const intoTunnel = installed.filter(({ isIntoTunnel }) => isIntoTunnel).map(({ device }) => device);
    const past = new Set(installed.filter(({ isIntoTunnel }) => !isIntoTunnel).map(({ destination }) => destination));
    const lengths = new Set([...past].map((destination) => Number(destination.slice(destination.indexOf("/") + 1))));
    return {
      protocols: new Set(ownProtocols.map(String)),
      devices: new Set([...intoTunnel, ...links.map(({ device }) => device), this.#device].filter((device) => typeof device === "string")),
      covers: (host) => [...lengths].some((length) => length <= host.length && past.has(networkOf(host, length))),
    };
  }

  /** What leads past the tunnels stays while the peer has no way: its gateway may answer yet. */
  #known(destination: string): Route | null {
    const known = this.#installed.get(destination);
    return known === undefined || known.isIntoTunnel ? null : known;
  }

  /** What is to lead on otherwise than it does, with another MTU for example, is replaced in one step: no packet finds it missing. */
  async #change(wanted: readonly Route[]): Promise<void> {
    const isChanged = (route: Route): boolean => {
      const before = this.#installed.get(route.destination);
      return before !== undefined && before.options.join(" ") !== route.options.join(" ");
    };
    if (!wanted.some(isChanged)) return;
    // The kernel asks nobody whose route it is that it replaces: only what is still there is ours.
    await this.forgetVanished();
    const changed = wanted.filter(isChanged);
    const refused = await this.#batch("replace", changed);
    for (const route of changed) if (!refused.has(route)) this.#installed.set(route.destination, route);
  }

  /**
   * The kernel drops routes with their device, and with the address that they name as source, and does not tell. What it has dropped is missing
   * again: the next `apply` adds it.
   */
  async forgetVanished(): Promise<void> {
    for (const family of [4, 6] as const) {
      if (![...this.#installed.values()].some((route) => route.family === family)) continue;
      const shown = await this.#ip([`-${family}`, "-N", "-o", "route", "show", "proto", String(this.#protocol)]);
      const present = new Set(shown.split("\n").map((line) => destinationOf(line.split(" ")[0] ?? "")));
      for (const route of this.#installed.values()) if (route.family === family && !present.has(route.destination)) this.#installed.delete(route.destination);
    }
  }

  async removeAll(): Promise<void> {
    await this.apply([]);
  }

  #routesOf(link: LinkRoutes, ways: ReadonlyMap<string, Way | "local">): Route[] {
    const tunnel = link.device ?? this.#device;
    const source = insideAddress(link.localNetworks);
    return link.remoteNetworks.flatMap((text) => {
      const prefix = parsePrefix(text);
      if (prefix === null) return [];
      const from = source.get(prefix.family);
      const target =
        tunnel === null ? alongTo(link.peers, ways, prefix.family, from) : { device: tunnel, options: this.#into(tunnel, link.mtu, from), isIntoTunnel: true };
      return splitDefault(prefix).flatMap((half) => {
        const destination = formatPrefix(half);
        if (target !== null) return [{ destination, family: half.family, ...target }];
        return link.peers.length === 0 ? [] : (this.#known(destination) ?? []);
      });
    });
  }

  /** What leads into the tunnel; the same list for all routes that need the same. */
  #into(device: string, mtu: number, from: string | undefined): readonly string[] {
    const key = `${device} ${mtu} ${from ?? ""}`;
    const options = this.#intoTunnel.get(key) ?? ["dev", device, "mtu", String(mtu), ...(from === undefined ? [] : ["src", from])];
    this.#intoTunnel.set(key, options);
    return options;
  }

  /** One process for each family, however many routes. Those that `ip` did not take come back: in a batch it does not say enough about why. */
  async #batch(verb: "add" | "del" | "replace", routes: readonly Route[]): Promise<ReadonlySet<Route>> {
    const refused = new Set<Route>();
    for (const family of [4, 6] as const) {
      const own = routes.filter((route) => route.family === family);
      if (own.length === 0) continue;
      const lines = own.map(({ destination, device, options }) =>
        ["route", verb, destination, ...(verb === "del" ? ["dev", device] : options), "proto", this.#protocol].join(" "),
      );
      try {
        await this.#ip([`-${family}`, "-force", "-batch", "-"], `${lines.join("\n")}\n`);
      } catch (error) {
        const failed = [...String(error).matchAll(/Command failed -:(\d+)/g)].map((match) => own[Number(match[1]) - 1]).filter((route) => route !== undefined);
        // Without a line's number `ip` has not run at all.
        for (const route of failed.length > 0 ? failed : own) refused.add(route);
      }
    }
    return refused;
  }

  async #addAlone(route: Route): Promise<"set" | "done by another" | { readonly fault: string }> {
    const family = route.family === 4 ? "-4" : "-6";
    const args = [route.destination, ...route.options, "proto", String(this.#protocol)];
    try {
      await this.#ip([family, "route", "add", ...args]);
      return "set";
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      if (!reason.includes("File exists")) return { fault: `the route to ${route.destination} could not be set: ${reason}` };
      const existing = await this.#ip([family, "-N", "-o", "route", "show", "exact", route.destination]).catch(() => "");
      // Of a run that was killed, and may have had the other plane.
      const isOurs = ownProtocols.some((protocol) => existing.includes(`proto ${protocol}`));
      // Policies take the packets from that one as well, and it keeps a peer outside as ours would.
      if (!isOurs && !route.isIntoTunnel) return "done by another";
      if (!isOurs) return { fault: `another route to ${route.destination} exists (${existing.trim()}); remove it to let the link use that network` };
      await this.#ip([family, "route", "replace", ...args]);
      return "set";
    }
  }
}

/** `ip` shows a host without its prefix length. */
function destinationOf(shown: string): string {
  const prefix = parsePrefix(shown) ?? hostPrefix(shown);
  return prefix === null ? shown : formatPrefix(prefix);
}

interface WantedRoute {
  readonly route: Route;
  readonly linkId: string;
}

/** The peers that are in a remote network, and whose they are. `isSwallowed`: without a route of its own the peer would be looked for in a tunnel. */
function peersOutside(links: readonly LinkRoutes[], device: string | null): Map<Prefix, { readonly linkId: string; readonly isSwallowed: boolean }> {
  const hostsOf = ({ linkId, peers }: LinkRoutes) => peers.flatMap((peer) => hostPrefix(peer) ?? []).map((host) => ({ linkId, host }));
  const all = links.flatMap(hostsOf);
  const outside = new Map<string, { readonly host: Prefix; readonly linkId: string; readonly isSwallowed: boolean }>();
  for (const link of links) {
    const isSwallowed = (link.device ?? device) !== null;
    // Where everything goes through this link, other links' peers would too.
    for (const network of link.remoteNetworks.flatMap((text) => parsePrefix(text) ?? []))
      for (const { linkId, host } of network.length === 0 && isSwallowed ? all : hostsOf(link)) {
        const known = outside.get(formatPrefix(host));
        if (contains(network, host) && !known?.isSwallowed) outside.set(formatPrefix(host), { host, linkId, isSwallowed });
      }
  }
  return new Map([...outside.values()].map(({ host, ...whose }) => [host, whose]));
}

/** What follows the destination in a route along a way. */
function along({ device, gateway }: Way, family: 4 | 6): string[] {
  if (gateway === null) return ["dev", device];
  const isOther = gateway.includes(":") !== (family === 6);
  return ["via", ...(isOther ? [family === 6 ? "inet" : "inet6"] : []), gateway, "dev", device];
}

/** A host route to the peer along the way it is reached now, so that the tunnel does not swallow its own packets. */
function routeAlong(host: Prefix, way: Way): Route {
  return { destination: formatPrefix(host), family: host.family, device: way.device, options: along(way, host.family), isIntoTunnel: false };
}

/** Along the way to the first peer that has one; null: there is none. */
function alongTo(
  peers: readonly string[],
  ways: ReadonlyMap<string, Way | "local">,
  family: 4 | 6,
  from: string | undefined,
): Pick<Route, "device" | "options" | "isIntoTunnel"> | null {
  for (const peer of peers) {
    const way = ways.get(destinationOf(peer));
    if (way === undefined || way === "local") continue;
    const gateway = way.gateway ?? peer;
    const isSameFamily = gateway.includes(":") === (family === 6);
    const source = from === undefined ? [] : ["src", from];
    return { device: way.device, options: [...(isSameFamily ? ["via", gateway] : []), "dev", way.device, ...source], isIntoTunnel: false };
  }
  return null;
}

/** The network of this length that the host is in. */
function networkOf(host: Prefix, length: number): string {
  const bits = BigInt((host.family === 4 ? 32 : 128) - length);
  const start = (host.start >> bits) << bits;
  return formatPrefix({ ...host, start, length });
}

/** The default route is laid as two halves: they are preferred to the machine's own default route without replacing it. */
function splitDefault(prefix: Prefix): Prefix[] {
  if (prefix.length !== 0) return [prefix];
  const middle = (prefix.end + 1n) / 2n;
  return [
    { ...prefix, length: 1, end: middle - 1n },
    { ...prefix, length: 1, start: middle },
  ];
}

/** This machine's own address in the local networks, so that the gateway's own packets are covered by the selectors. */
function insideAddress(localNetworks: readonly string[]): Map<4 | 6, string> {
  const networks = localNetworks.flatMap((text) => parsePrefix(text) ?? []);
  const found = new Map<4 | 6, string>();
  for (const entry of Object.values(networkInterfaces()).flatMap((list) => list ?? [])) {
    const isUnusable = entry.address.startsWith("127.") || entry.address === "::1" || entry.address.startsWith("fe80:");
    const host = isUnusable ? null : hostPrefix(entry.address);
    if (host !== null && !found.has(host.family) && networks.some((network) => contains(network, host))) found.set(host.family, entry.address);
  }
  return found;
}

function runIp(args: readonly string[], input?: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = execFile("ip", args, { timeout: input === undefined ? 5_000 : 30_000, maxBuffer: 16 * 1_048_576 }, (error, stdout, stderr) => {
      if (error === null) resolve(stdout);
      else reject(new IpFailure(stderr.trim() === "" ? error.message : stderr.trim().replace(/^RTNETLINK answers: /, ""), stdout));
    });
    if (input === undefined) return;
    // It may end before it has read everything; its exit code says so.
    child.stdin?.on("error", () => undefined);
    child.stdin?.end(input);
  });
}
