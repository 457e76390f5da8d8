import { contains, formatPrefix, hostPrefix, parsePrefix, type Prefix } from "./prefix.ts";

/** Runs `ip` with these arguments and this standard input; rejects with its error text, an `IpFailure` where it ran. Replaced in tests. */
export type RunIp = (args: readonly string[], input?: string) => Promise<string>;

/** `ip` has failed, in all or in a part of what it was to do. */
export class IpFailure extends Error {
  /** What it said of the rest. */
  readonly output: string;

  constructor(message: string, output: string) {
    super(message);
    this.output = output;
  }
}

/** How a peer is reached. */
export interface Way {
  readonly device: string;
  /** Perhaps of the other family. null: the peer is on the link, or that has one other end alone. */
  readonly gateway: string | null;
  /** Where the route was found, as a number. */
  readonly table: string;
}

/** What in the routing table is ours, and so does not say how a peer is reached beside it. */
export interface OwnRoutes {
  readonly protocols: ReadonlySet<string>;
  readonly devices: ReadonlySet<string>;
  /** Whether a route of ours that leads past our devices takes packets to this address. */
  covers(host: Prefix): boolean;
}

/** The main table: ours are in no other. */
const MAIN = "254";

/**
 * How peers are reached beside our own routes. The kernel is asked first: it knows the rules and all tables. Where its answer may be a route of ours, into a
 * tunnel or the one that was set the last time, the table is read, and the longest match that is not ours is the way.
 */
export class PeerWays {
  readonly #ip: RunIp;
  /** As last found: where to read again, and which of several equal ones is kept. */
  readonly #last = new Map<string, Way>();

  constructor(ip: RunIp) {
    this.#ip = ip;
  }

  /** By host, as `formatPrefix` writes it. "local": the address is this machine's own. One without a way is left out. */
  async find(hosts: ReadonlyMap<string, Prefix>, own: OwnRoutes): Promise<Map<string, Way | "local">> {
    const found = new Map<string, Way | "local">();
    for (const key of this.#last.keys()) if (!hosts.has(key)) this.#last.delete(key);
    for (const family of [4, 6] as const) {
      const asked = new Map([...hosts].filter(([, host]) => host.family === family));
      if (asked.size === 0) continue;
      const tables = new Map<string, Promise<ShownRoute[]>>();
      for (const [key, answer] of await this.#ask(family, asked)) {
        const host = asked.get(key)!;
        const isOurs = own.devices.has(answer.device) || (answer.table === MAIN && own.covers(host));
        // Of one that is asked for the first time the route may be what a killed run has left.
        const isDoubtful = isOurs || (answer.table === MAIN && !this.#last.has(key));
        const way = (isDoubtful ? await this.#beside(host, this.#last.get(key), own, tables) : null) ?? (isOurs ? null : answer);
        if (way === null) continue;
        this.#last.set(key, way);
        found.set(key, way.device === "lo" ? "local" : way);
      }
    }
    return found;
  }

  /** What the kernel would do now; those without a route are left out. One process. */
  async #ask(family: 4 | 6, hosts: ReadonlyMap<string, Prefix>): Promise<Map<string, Way>> {
    const lines = [...hosts.keys()].map((key) => `route get ${addressOf(key)}\n`);
    // One without a route is a failure of the whole, which has the answers about the others.
    const answers = await this.#ip(["-o", "-N", `-${family}`, "-force", "-batch", "-"], lines.join("")).catch((error: unknown) =>
      error instanceof IpFailure ? error.output : "",
    );
    const ways = new Map<string, Way>();
    for (const answer of answers.split("\n")) {
      // What is not unicast, as our own addresses, has the number of its type in front.
      const host = hostPrefix(/^(?:\d+ )?(\S+)/.exec(answer)?.[1] ?? "");
      const device = / dev (\S+)/.exec(answer)?.[1];
      if (host === null || device === undefined || !hosts.has(formatPrefix(host))) continue;
      const gateway = / via (?:inet6? )?(\S+)/.exec(answer)?.[1] ?? null;
      ways.set(formatPrefix(host), { device, gateway, table: / table (\S+)/.exec(answer)?.[1] ?? MAIN });
    }
    return ways;
  }

  async #beside(host: Prefix, last: Way | undefined, own: OwnRoutes, tables: Map<string, Promise<ShownRoute[]>>): Promise<Way | null> {
    for (const table of new Set([last?.table ?? MAIN, MAIN])) {
      const shown = tables.get(table) ?? this.#read(host.family, table);
      tables.set(table, shown);
      const way = longestMatch(await shown, host, table, own, last);
      if (way !== null) return way;
    }
    return null;
  }

  async #read(family: 4 | 6, table: string): Promise<ShownRoute[]> {
    // A table is gone with its last route.
    const text = await this.#ip([`-${family}`, "-N", "-j", "route", "show", "table", table]).catch(() => "[]");
    const shown: ShownRoute[] = JSON.parse(text);
    return shown;
  }
}

/** Of a host as `formatPrefix` writes it. */
export function addressOf(host: string): string {
  return host.slice(0, host.indexOf("/"));
}

interface Hop {
  readonly dev?: string;
  readonly gateway?: string;
  /** Of the other family. */
  readonly via?: { readonly host: string };
  readonly flags?: readonly string[];
}

/** A route as `ip` shows it in JSON. */
interface ShownRoute extends Hop {
  readonly dst: string;
  /** Absent: unicast. */
  readonly type?: string;
  readonly protocol?: string;
  readonly metric?: number;
  readonly nexthops?: readonly Hop[];
}

function longestMatch(shown: readonly ShownRoute[], host: Prefix, table: string, own: OwnRoutes, last: Way | undefined): Way | null {
  const matches = shown
    .filter(({ protocol = "" }) => !own.protocols.has(protocol))
    .map((route) => ({ route, prefix: prefixOf(route.dst, host.family), metric: route.metric ?? 0, ways: waysOf(route, table, own) }))
    .filter(({ prefix, route, ways }) => prefix !== null && contains(prefix, host) && (route.type !== undefined || ways.length > 0))
    .toSorted((a, b) => b.prefix!.length - a.prefix!.length || a.metric - b.metric);
  const best = matches[0];
  // The kernel looks no further where a route says that there is none.
  if (best === undefined || best.route.type !== undefined) return null;
  const equal = matches.filter(({ prefix, metric }) => prefix!.length === best.prefix!.length && metric === best.metric).flatMap(({ ways }) => ways);
  return equal.find(({ device, gateway }) => device === last?.device && gateway === last.gateway) ?? equal[0]!;
}

function waysOf(route: ShownRoute, table: string, own: OwnRoutes): Way[] {
  return (route.nexthops ?? [route]).flatMap(({ dev, gateway, via, flags }) =>
    dev === undefined || own.devices.has(dev) || flags?.includes("dead") ? [] : [{ device: dev, gateway: gateway ?? via?.host ?? null, table }],
  );
}

function prefixOf(destination: string, family: 4 | 6): Prefix | null {
  if (destination === "default") return parsePrefix(family === 4 ? "0.0.0.0/0" : "::/0");
  return parsePrefix(destination) ?? hostPrefix(destination);
}
