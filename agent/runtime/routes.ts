import { execFile } from "node:child_process";
import { networkInterfaces } from "node:os";
import { contains, formatPrefix, hostPrefix, parsePrefix, type Prefix } from "./prefix.ts";

/** Marks our routes in the kernel's tables. Not a number of rtnetlink(7) or of a routing daemon (186 is BGP). */
export const routeProtocol = 213;
/** The same of a gateway whose packets follow policies: there is one in a network namespace, so all of them are its own. */
export const policyRouteProtocol = 214;

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
  /** What follows the destination in `ip route add`. */
  readonly options: readonly string[];
  readonly isIntoTunnel: boolean;
}

/** Runs `ip` with these arguments and this standard input; rejects with its error text. Replaced in tests. */
export type RunIp = (args: readonly string[], input?: string) => Promise<string>;

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
  readonly #installed = new Map<string, Route>();
  readonly #intoTunnel = new Map<string, readonly string[]>();

  /** `device` null: the kernel's policies take packets from whatever route they are on. */
  constructor(device: string | null, ip: RunIp = runIp) {
    this.#device = device;
    this.#protocol = device === null ? policyRouteProtocol : routeProtocol;
    this.#ip = ip;
  }

  /** Removes what a killed agent with this device left behind, or one that followed policies. */
  async removeLeftovers(): Promise<void> {
    const which = [...(this.#device === null ? [] : ["dev", this.#device]), "proto", String(this.#protocol)];
    for (const family of ["-4", "-6"]) await this.#ip([family, "route", "flush", ...which]).catch(() => undefined);
  }

  /** Adds what is missing, removes what no link needs any more. Returns a sentence for each route that could not be set, by link. */
  async apply(links: readonly LinkRoutes[]): Promise<Map<string, string>> {
    const faults = new Map<string, string>();
    const wanted = new Map<string, { readonly route: Route; readonly linkId: string }>();
    const peers = links.flatMap((link) => link.peers);
    const ways = this.#device === null ? await this.#waysTo(peers) : new Map<string, Way>();
    for (const link of links)
      for (const route of await this.#routesOf(link, peers, ways)) if (!wanted.has(keyOf(route))) wanted.set(keyOf(route), { route, linkId: link.linkId });
    await this.#change([...wanted.values()].map(({ route }) => route));
    const surplus = [...this.#installed].filter(([key]) => !wanted.has(key));
    for (const [key] of surplus) this.#installed.delete(key);
    // One that is gone already, for example with its device, is what was wanted.
    await this.#batch(
      "del",
      surplus.map(([, route]) => route),
    );
    const missing = [...wanted].filter(([key]) => !this.#installed.has(key));
    const refused = await this.#batch(
      "add",
      missing.map(([, { route }]) => route),
    );
    for (const [key, { route, linkId }] of missing) {
      const outcome = refused.has(route) ? await this.#addAlone(route) : "set";
      if (outcome === "set") this.#installed.set(key, route);
      else if (outcome !== "done by another") faults.set(linkId, outcome.fault);
    }
    return faults;
  }

  /** What is to lead on otherwise than it does, with another MTU for example, is replaced in one step: no packet finds it missing. */
  async #change(wanted: readonly Route[]): Promise<void> {
    const before = new Map([...this.#installed].map(([key, route]) => [route.destination, key]));
    const isChanged = (route: Route): boolean => before.has(route.destination) && !this.#installed.has(keyOf(route));
    if (!wanted.some(isChanged)) return;
    // The kernel asks nobody whose route it is that it replaces: only what is still there is ours.
    await this.forgetVanished();
    const changed = wanted.filter((route) => isChanged(route) && this.#installed.has(before.get(route.destination)!));
    const refused = await this.#batch("replace", changed);
    for (const route of changed) {
      if (refused.has(route)) continue;
      this.#installed.delete(before.get(route.destination)!);
      this.#installed.set(keyOf(route), route);
    }
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
      for (const [key, route] of this.#installed) if (route.family === family && !present.has(route.destination)) this.#installed.delete(key);
    }
  }

  async removeAll(): Promise<void> {
    await this.apply([]);
  }

  /** `allPeers`: of every link. */
  async #routesOf(link: LinkRoutes, allPeers: readonly string[], ways: ReadonlyMap<string, Way>): Promise<Route[]> {
    const routes: Route[] = [];
    const device = link.device ?? this.#device;
    const source = insideAddress(link.localNetworks);
    for (const text of link.remoteNetworks) {
      const prefix = parsePrefix(text);
      if (prefix === null) continue;
      const from = source.get(prefix.family);
      const options = device === null ? alongTo(link.peers, ways, prefix.family, from) : this.#into(device, link.mtu, from);
      if (options !== null)
        for (const half of splitDefault(prefix)) routes.push({ destination: formatPrefix(half), family: half.family, options, isIntoTunnel: device !== null });
      // Where everything goes through this link, other links' peers would too.
      for (const peer of prefix.length === 0 && device !== null ? new Set(allPeers) : link.peers) {
        const host = hostPrefix(peer);
        if (host !== null && contains(prefix, host)) routes.push(...(await this.#outsideRoute(peer, host, device)));
      }
    }
    return routes;
  }

  /** What leads into the tunnel; the same list for all routes that need the same. */
  #into(device: string, mtu: number, from: string | undefined): readonly string[] {
    const key = `${device} ${mtu} ${from ?? ""}`;
    const options = this.#intoTunnel.get(key) ?? ["dev", device, "mtu", String(mtu), ...(from === undefined ? [] : ["src", from])];
    this.#intoTunnel.set(key, options);
    return options;
  }

  /** How each peer is reached now; those that are not are left out. One process for each family. */
  async #waysTo(peers: readonly string[]): Promise<Map<string, Way>> {
    const ways = new Map<string, Way>();
    for (const family of [4, 6] as const) {
      const own = [...new Set(peers.filter((peer) => peer.includes(":") === (family === 6)))];
      if (own.length === 0) continue;
      const lines = own.map((peer) => `route get ${peer}\n`).join("");
      // One without a route spoils the whole answer: then each is asked for by itself.
      const answers = await this.#ip(["-o", `-${family}`, "-force", "-batch", "-"], lines).catch(async () => {
        const each = await Promise.all(own.map((peer) => this.#ip(["-o", "route", "get", peer]).catch(() => "")));
        return each.join("\n");
      });
      for (const answer of answers.split("\n")) {
        const [peer = ""] = answer.split(" ");
        const device = / dev (\S+)/.exec(answer)?.[1];
        if (own.includes(peer) && device !== undefined && device !== "lo") ways.set(peer, { device, gateway: / via (\S+)/.exec(answer)?.[1] ?? peer });
      }
    }
    return ways;
  }

  /** A host route to the peer along the way it is reached now, so that the tunnel does not swallow its own packets. */
  async #outsideRoute(peer: string, host: Prefix, tunnel: string | null): Promise<Route[]> {
    const destination = formatPrefix(host);
    const known = [...this.#installed.values()].find((route) => route.destination === destination);
    if (known !== undefined) return [known];
    const answer = await this.#ip(["-o", "route", "get", peer]).catch(() => "");
    const device = / dev (\S+)/.exec(answer)?.[1];
    const gateway = / via (\S+)/.exec(answer)?.[1];
    if (device === undefined || device === tunnel || gateway === undefined) return [];
    return [{ destination, family: host.family, options: ["via", gateway, "dev", device], isIntoTunnel: false }];
  }

  /** One process for each family, however many routes. Those that `ip` did not take come back: in a batch it does not say enough about why. */
  async #batch(verb: "add" | "del" | "replace", routes: readonly Route[]): Promise<ReadonlySet<Route>> {
    const refused = new Set<Route>();
    for (const family of [4, 6] as const) {
      const own = routes.filter((route) => route.family === family);
      if (own.length === 0) continue;
      const lines = own.map(({ destination, options }) =>
        ["route", verb, destination, ...(verb === "del" ? options.slice(0, 2) : options), "proto", this.#protocol].join(" "),
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
      const isOurs = existing.includes(`proto ${this.#protocol}`);
      // Policies take the packets from that one as well.
      if (!isOurs && this.#device === null && !route.isIntoTunnel) return "done by another";
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

interface Way {
  readonly device: string;
  /** The peer itself, if it is on the link. */
  readonly gateway: string;
}

/** What follows the destination in a route along the way to the first peer that has one; null: there is none. */
function alongTo(peers: readonly string[], ways: ReadonlyMap<string, Way>, family: 4 | 6, from: string | undefined): string[] | null {
  const way = peers.map((peer) => ways.get(peer)).find((found) => found !== undefined);
  if (way === undefined) return null;
  const isSameFamily = way.gateway.includes(":") === (family === 6);
  return [...(isSameFamily ? ["via", way.gateway] : []), "dev", way.device, ...(from === undefined ? [] : ["src", from])];
}

function keyOf(route: Route): string {
  return `${route.destination} ${route.options.join(" ")}`;
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
      else reject(new Error(stderr.trim() === "" ? error.message : stderr.trim().replace(/^RTNETLINK answers: /, "")));
    });
    if (input === undefined) return;
    // It may end before it has read everything; its exit code says so.
    child.stdin?.on("error", () => undefined);
    child.stdin?.end(input);
  });
}
