import { execFile } from "node:child_process";
import { networkInterfaces } from "node:os";
import { contains, formatPrefix, hostPrefix, parsePrefix, type Prefix } from "./prefix.ts";

/** Marks our routes in the kernel's tables. Not a number of rtnetlink(7) or of a routing daemon (186 is BGP). */
export const routeProtocol = 213;

/** One link's share of the routing table. */
export interface LinkRoutes {
  readonly linkId: string;
  readonly localNetworks: readonly string[];
  readonly remoteNetworks: readonly string[];
  /** Literal outside addresses of the peer: they must stay outside of the tunnel. */
  readonly peers: readonly string[];
  /** Largest packet that the link takes. */
  readonly mtu: number;
}

interface Route {
  readonly destination: string;
  readonly family: 4 | 6;
  /** What follows the destination in `ip route add`. */
  readonly options: readonly string[];
}

/** Runs `ip` with these arguments and this standard input; rejects with its error text. Replaced in tests. */
export type RunIp = (args: readonly string[], input?: string) => Promise<string>;

/**
 * The routes that lead remote networks into the TUN device. Each is marked with our protocol number; a route that someone else
 * made is neither replaced nor removed. Routes into the device vanish with it, so a killed agent leaves none; the host routes
 * that keep a peer outside its own tunnel do not: by their mark they are taken over at the next start.
 */
export class Routes {
  readonly #device: string;
  readonly #ip: RunIp;
  readonly #installed = new Map<string, Route>();
  readonly #intoTunnel = new Map<string, readonly string[]>();

  constructor(device: string, ip: RunIp = runIp) {
    this.#device = device;
    this.#ip = ip;
  }

  /** Removes what a killed agent with this device left behind. */
  async removeLeftovers(): Promise<void> {
    for (const family of ["-4", "-6"]) await this.#ip([family, "route", "flush", "dev", this.#device, "proto", String(routeProtocol)]).catch(() => undefined);
  }

  /** Adds what is missing, removes what no link needs any more. Returns a sentence for each route that could not be set, by link. */
  async apply(links: readonly LinkRoutes[]): Promise<Map<string, string>> {
    const faults = new Map<string, string>();
    const wanted = new Map<string, { readonly route: Route; readonly linkId: string }>();
    for (const link of links)
      for (const route of await this.#routesOf(link)) if (!wanted.has(keyOf(route))) wanted.set(keyOf(route), { route, linkId: link.linkId });
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
      const fault = refused.has(route) ? await this.#addAlone(route) : null;
      if (fault === null) this.#installed.set(key, route);
      else faults.set(linkId, fault);
    }
    return faults;
  }

  /**
   * The kernel drops routes with their device, and with the address that they name as source, and does not tell. What it has dropped is missing
   * again: the next `apply` adds it.
   */
  async forgetVanished(): Promise<void> {
    for (const family of [4, 6] as const) {
      if (![...this.#installed.values()].some((route) => route.family === family)) continue;
      const shown = await this.#ip([`-${family}`, "-N", "-o", "route", "show", "proto", String(routeProtocol)]);
      const present = new Set(shown.split("\n").map((line) => destinationOf(line.split(" ")[0] ?? "")));
      for (const [key, route] of this.#installed) if (route.family === family && !present.has(route.destination)) this.#installed.delete(key);
    }
  }

  async removeAll(): Promise<void> {
    await this.apply([]);
  }

  async #routesOf(link: LinkRoutes): Promise<Route[]> {
    const routes: Route[] = [];
    const source = insideAddress(link.localNetworks);
    for (const text of link.remoteNetworks) {
      const prefix = parsePrefix(text);
      if (prefix === null) continue;
      const from = source.get(prefix.family);
      const options = this.#into(link.mtu, from);
      for (const half of splitDefault(prefix)) routes.push({ destination: formatPrefix(half), family: half.family, options });
      for (const peer of link.peers) {
        const host = hostPrefix(peer);
        if (host !== null && contains(prefix, host)) routes.push(...(await this.#outsideRoute(peer, host)));
      }
    }
    return routes;
  }

  /** What leads into the tunnel; the same list for all routes that need the same. */
  #into(mtu: number, from: string | undefined): readonly string[] {
    const key = `${mtu} ${from ?? ""}`;
    const options = this.#intoTunnel.get(key) ?? ["dev", this.#device, "mtu", String(mtu), ...(from === undefined ? [] : ["src", from])];
    this.#intoTunnel.set(key, options);
    return options;
  }

  /** A host route to the peer along the way it is reached now, so that the tunnel does not swallow its own packets. */
  async #outsideRoute(peer: string, host: Prefix): Promise<Route[]> {
    const destination = formatPrefix(host);
    const known = [...this.#installed.values()].find((route) => route.destination === destination);
    if (known !== undefined) return [known];
    const answer = await this.#ip(["-o", "route", "get", peer]).catch(() => "");
    const device = / dev (\S+)/.exec(answer)?.[1];
    const gateway = / via (\S+)/.exec(answer)?.[1];
    if (device === undefined || device === this.#device || gateway === undefined) return [];
    return [{ destination, family: host.family, options: ["via", gateway, "dev", device] }];
  }

  /** One process for each family, however many routes. Those that `ip` did not take come back: in a batch it does not say enough about why. */
  async #batch(verb: "add" | "del", routes: readonly Route[]): Promise<ReadonlySet<Route>> {
    const refused = new Set<Route>();
    for (const family of [4, 6] as const) {
      const own = routes.filter((route) => route.family === family);
      if (own.length === 0) continue;
      const lines = own.map(({ destination, options }) =>
        ["route", verb, destination, ...(verb === "del" ? options.slice(0, 2) : options), "proto", routeProtocol].join(" "),
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

  async #addAlone(route: Route): Promise<string | null> {
    const family = route.family === 4 ? "-4" : "-6";
    const args = [route.destination, ...route.options, "proto", String(routeProtocol)];
    try {
      await this.#ip([family, "route", "add", ...args]);
      return null;
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      if (!reason.includes("File exists")) return `the route to ${route.destination} could not be set: ${reason}`;
      const existing = await this.#ip([family, "-N", "-o", "route", "show", "exact", route.destination]).catch(() => "");
      if (!existing.includes(`proto ${routeProtocol}`))
        return `another route to ${route.destination} exists (${existing.trim()}); remove it to let the link use that network`;
      await this.#ip([family, "route", "replace", ...args]);
      return null;
    }
  }
}

/** `ip` shows a host without its prefix length. */
function destinationOf(shown: string): string {
  const prefix = parsePrefix(shown) ?? hostPrefix(shown);
  return prefix === null ? shown : formatPrefix(prefix);
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
