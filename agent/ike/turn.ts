import type { IkeSpi } from "../wire/ikev2/message-types.ts";
import type { EspSpi } from "../wire/ikev2/message-types.ts";
import { readU32, readU64 } from "../wire/octets.ts";
import { CookieJar } from "./negotiation/cookie.ts";
import type { Effect, EndpointOptions, IkeEvent, Instant, RandomSource } from "./endpoint-types.ts";
import type { ChildSa } from "./child-sa.ts";
import { childrenOf, type IkeSa, type Link } from "./ike-sa.ts";

/** Everything the engine knows. Only the functions that `Endpoint.handle` calls change it. */
export interface EngineState {
  readonly options: EndpointOptions;
  readonly random: RandomSource;
  readonly links: Map<string, Link>;
  /** Removed, with requests still under way: their answers are read as before, so that what they make can be closed with the peer. */
  readonly leaving: Map<string, Link>;
  /** By our own SPI. */
  readonly ikeSas: Map<IkeSpi, IkeSa>;
  /** Half-open SAs by peer and its SPI, to recognise a retransmitted IKE_SA_INIT. */
  readonly halfOpen: Map<string, IkeSa>;
  readonly cookies: CookieJar;
  /** Inbound SAs whose exchange is over and that wait out the packets in flight. */
  readonly graves: Grave[];
  nextId: number;
  /** When a stranger's request was last reported: once a second is enough for people, and anyone can send one. */
  strangerReportedAt: Instant;
  /** The same for what a flood of half-open IKE SAs makes us do. */
  floodReportedAt: Instant;
}

export interface Grave {
  readonly spi: EspSpi;
  readonly at: Instant;
}

/** One call of `Endpoint.handle`: the time it happens at and the effects it gathers. */
export interface Turn {
  readonly engine: EngineState;
  readonly now: Instant;
  readonly effects: Effect[];
}

export function newEngineState(options: EndpointOptions, random: RandomSource): EngineState {
  return {
    options,
    random,
    links: new Map(),
    leaving: new Map(),
    ikeSas: new Map(),
    halfOpen: new Map(),
    cookies: new CookieJar(random),
    graves: [],
    nextId: 0,
    strangerReportedAt: 0,
    floodReportedAt: 0,
  };
}

export function emitEvent(turn: Turn, event: IkeEvent): void {
  turn.effects.push({ kind: "event", event });
}

export function newId(turn: Turn, prefix: "ike" | "child"): string {
  turn.engine.nextId += 1;
  return `${prefix}-${turn.engine.nextId}`;
}

/** Uniform in [0, 1) from the endpoint's own source. */
export function randomShare(turn: Turn): number {
  return readU32(turn.engine.random.bytes(4), 0) / 2 ** 32;
}

/** A random SPI that is not 0 and not in use here (RFC 7296 §2.6). */
export function newIkeSpi(turn: Turn): IkeSpi {
  for (;;) {
    const spi = readU64(turn.engine.random.bytes(8), 0) as IkeSpi;
    if (spi !== 0n && !turn.engine.ikeSas.has(spi)) return spi;
  }
}

/** A random inbound SPI above 255 (RFC 4303 §2.1 reserves the rest) that no SA of ours has. */
export function newEspSpi(turn: Turn): EspSpi {
  const used = new Set<number>(turn.engine.graves.map((grave) => grave.spi));
  for (const sa of turn.engine.ikeSas.values()) for (const child of childrenOf(sa).values()) used.add(child.inbound.spi);
  for (;;) {
    const spi = readU32(turn.engine.random.bytes(4), 0) as EspSpi;
    if (spi > 255 && !used.has(spi)) return spi;
  }
}

export function findChild(turn: Turn, childSaId: string): { readonly sa: IkeSa; readonly child: ChildSa } | null {
  for (const sa of turn.engine.ikeSas.values()) {
    const child = childrenOf(sa).get(childSaId);
    if (child !== undefined) return { sa, child };
  }
  return null;
}

export function ikeSasOf(turn: Turn, linkId: string): IkeSa[] {
  return [...turn.engine.ikeSas.values()].filter((sa) => sa.linkId === linkId);
}

export function ikeSaById(turn: Turn, id: string): IkeSa | null {
  for (const sa of turn.engine.ikeSas.values()) if (sa.id === id) return sa;
  return null;
}
