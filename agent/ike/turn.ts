import type { IkeSpi } from "../wire/ikev2/message-types.ts";
import type { EspSpi } from "../wire/ikev2/message-types.ts";
import { readU32, readU64 } from "../wire/octets.ts";
import { CookieJar } from "./negotiation/cookie.ts";
import type { Effect, EndpointOptions, IkeEvent, Instant, RandomSource } from "./endpoint-types.ts";
import type { HeldMessage } from "./v2/revocation-wait.ts";
import type { ChildSa } from "./child-sa.ts";
import { childrenOf, type IkeSa, type Link } from "./ike-sa.ts";
import { ChildSaIndex, IkeSaIndex } from "./ike-sa-index.ts";
import { LinkIndex } from "./link-index.ts";
import { PathIndex } from "./path-index.ts";
import { TimerQueue } from "./timer-queue.ts";

/** Everything the engine knows. Only the functions that `Endpoint.handle` calls change it. */
export interface EngineState {
  readonly options: EndpointOptions;
  readonly random: RandomSource;
  readonly links: LinkIndex;
  /** Removed, with requests still under way: their answers are read as before, so that what they make can be closed with the peer. */
  readonly leaving: Map<string, Link>;
  readonly ikeSas: IkeSaIndex;
  readonly children: ChildSaIndex;
  readonly paths: PathIndex;
  /** Half-open SAs by peer and its SPI, to recognise a retransmitted IKE_SA_INIT. */
  readonly halfOpen: Map<string, IkeSa>;
  readonly cookies: CookieJar;
  /** IKE_AUTH messages that wait until it is known whether the peer's certificate is revoked. */
  readonly held: Map<IkeSa, HeldMessage>;
  /** IKE SAs with a rekey that has come due and is not over: rekey-pace.ts. */
  readonly rekeying: Set<IkeSa>;
  /** Inbound SAs whose exchange is over and that wait out the packets in flight. */
  readonly graves: Set<Grave>;
  /** When something is to happen to whom; `reschedule` (settle.ts) keeps it true for all that a turn has touched. */
  readonly timers: { readonly links: TimerQueue<Link>; readonly ikeSas: TimerQueue<IkeSa>; readonly graves: TimerQueue<Grave> };
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
  /** What certificates are judged by: the machine's clock may be set while it runs, and `now` must not follow. */
  readonly wallNow: Instant;
  readonly effects: Effect[];
  /**
   * What this turn may have changed. Links and IKE SAs are had through the functions of this file alone, and all that they hand out is
   * touched: so whatever is not in here is as the last turn has left it, and needs no looking at.
   */
  readonly touched: { readonly links: Set<Link>; readonly ikeSas: Set<IkeSa> };
}

export function newTurn(engine: EngineState, now: Instant, wallNow: Instant = now): Turn {
  return { engine, now, wallNow, effects: [], touched: { links: new Set(), ikeSas: new Set() } };
}

export function newEngineState(options: EndpointOptions, random: RandomSource): EngineState {
  return {
    options,
    random,
    links: new LinkIndex(),
    leaving: new Map(),
    ikeSas: new IkeSaIndex(),
    children: new ChildSaIndex(),
    paths: new PathIndex(),
    halfOpen: new Map(),
    cookies: new CookieJar(random),
    held: new Map(),
    rekeying: new Set(),
    graves: new Set(),
    timers: { links: new TimerQueue(), ikeSas: new TimerQueue(), graves: new TimerQueue() },
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

export function linkById(turn: Turn, linkId: string | null): Link | null {
  const link = linkId === null ? undefined : turn.engine.links.get(linkId);
  if (link === undefined) return null;
  turn.touched.links.add(link);
  return link;
}

/** Its link is touched with it. */
export function touchIkeSa(turn: Turn, sa: IkeSa): void {
  turn.touched.ikeSas.add(sa);
  linkById(turn, sa.linkId);
}

/** By our own SPI. */
export function ikeSaBySpi(turn: Turn, spi: IkeSpi): IkeSa | null {
  return touched(turn, turn.engine.ikeSas.get(spi));
}

export function ikeSaById(turn: Turn, id: string): IkeSa | null {
  return touched(turn, turn.engine.ikeSas.byId(id));
}

export function ikeSasOf(turn: Turn, linkId: string): IkeSa[] {
  const sas = turn.engine.ikeSas.ofLink(linkId);
  for (const sa of sas) touchIkeSa(turn, sa);
  return sas;
}

export function findChild(turn: Turn, childSaId: string): { readonly sa: IkeSa; readonly child: ChildSa } | null {
  const sa = touched(turn, turn.engine.children.ownerOf(childSaId));
  const child = sa === null ? undefined : childrenOf(sa).get(childSaId);
  return sa === null || child === undefined ? null : { sa, child };
}

function touched(turn: Turn, sa: IkeSa | undefined): IkeSa | null {
  if (sa === undefined) return null;
  touchIkeSa(turn, sa);
  return sa;
}
