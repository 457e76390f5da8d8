import type { InboundSa, OutboundSa, SaLifetimes, SaMode } from "../ipsec/security-association.ts";
import type { SaKeys } from "../crypto/sa-keys.ts";
import type { TrafficSelector } from "../ipsec/traffic-selector.ts";
import { Esn } from "../wire/iana.ts";
import type { EspSpi } from "../wire/ikev2/message-types.ts";
import type { PackedOctets } from "../wire/octets.ts";
import type { ChildConfig, Instant, LinkConfig } from "./endpoint-types.ts";
import { noteUse } from "./child-use.ts";
import { fallbackFor } from "./known-to-peer.ts";
import { childrenOf, type EstablishedPhase, establishedPhase, type IkeSa, isEnding, type Link, type Role } from "./ike-sa.ts";
import { formatEspSuite, type EspSuite } from "./negotiation/choose-proposal.ts";
import { hex32, traceChoice } from "./trace.ts";
import { placeOf, sendOver, throughInterface, vacate } from "./traffic-policy.ts";
import { retryAfterRefusal } from "./v2/retry.ts";
import { emitEvent, type Grave, ikeSasOf, newId, randomShare, type Turn } from "./turn.ts";

/** How long an inbound SA outlives its exchange, for packets still under way. */
const IN_FLIGHT_MS = 2_000;
/** Beyond the soft lifetime: a tenth of it, and one round of retransmissions. */
const HARD_LIFETIME_SHARE = 1.1;
const HARD_LIFETIME_MARGIN_MS = 30_000;
/** What a fast link sends while it is being rekeyed: about 0.2 s at 3 Gbit/s. */
const HARD_LIFETIME_MARGIN_BYTES = 64 << 20;
const HARD_LIFETIME_MARGIN_PACKETS = 1 << 16;

/**
 * A pair of SAs, of ESP or of AH. Inbound and outbound live apart: while a rekey is in flight the responder's new outbound SA is registered
 * and not used, and an inbound SA outlives its outbound twin by the time packets may be under way.
 */
export interface ChildSa {
  readonly id: string;
  readonly name: string;
  /** What it was negotiated under; once the link's configuration says something else it is made anew. */
  readonly config: ChildConfig;
  readonly suite: EspSuite;
  /** The data plane has its keys, and nobody else. */
  readonly inbound: Omit<InboundSa, "keys">;
  readonly outboundSpi: EspSpi;
  /** The outbound SA in the plane; null: never installed (redundant) or already taken out. */
  outbound: EspSpi | null;
  readonly installedAt: Instant;
  /** Who asked for it, and the lower of the two nonces it is made of: they decide which of two alike goes (child-upkeep.ts). */
  readonly madeAs: Role;
  readonly lowestNonce: PackedOctets;
  /** Both ends have said that there may be others with the same selectors beside it (RFC 9611). */
  readonly isShared: boolean;
  /** The Child SA that it was made to replace; null: it is the first of its line. */
  readonly replaces: string | null;
  /** The answer of ours that the peer needs to have it; null once it has shown that it does, or when it was the one to answer. */
  answer: { readonly ikeSaId: string; readonly nextReceive: number; readonly inAuth: boolean } | null;
  /** Both ways, when it was last looked whether it is used (inactivity.ts). */
  packetsSeen: number;
  rekeyAt: Instant | null;
  /** Infinity: no limit in time. */
  readonly expiresAt: Instant;
  state: ChildState;
}

export type ChildState =
  | { readonly kind: "established" }
  /** A successor is in use, or waits for the peer's first packet; the DELETE is the peer's part until `abandonAt`. */
  | { readonly kind: "rekeyed"; readonly successorId: string; readonly abandonAt: Instant | null }
  /** Lost a collision (RFC 7296 §2.8.1): never used to send; its inbound SA stays for a peer that already sends on it. */
  | { readonly kind: "redundant" }
  /** Our DELETE is queued or under way. */
  | { readonly kind: "deleting" };

export interface NewChild {
  readonly name: string;
  readonly config: ChildConfig;
  readonly madeAs: Role;
  readonly lowestNonce: PackedOctets;
  readonly suite: EspSuite;
  readonly mode: SaMode;
  readonly inboundSpi: EspSpi;
  readonly outboundSpi: EspSpi;
  readonly inboundKeys: SaKeys;
  readonly outboundKeys: SaKeys;
  readonly localSelectors: readonly TrafficSelector[];
  readonly remoteSelectors: readonly TrafficSelector[];
  readonly isShared: boolean;
  readonly replaces: string | null;
  /**
   * `now`: we are the exchange's initiator and the peer is ready. `whenPeerDoes`: we are its responder and the peer installs its
   * inbound SA only when our answer arrives; if nothing else carries the traffic, at once. `never`: a lost collision.
   */
  readonly use: "now" | "whenPeerDoes" | "never";
}

/** Installs both directions, inbound first, and moves the policy as `use` says. */
export function addChild(turn: Turn, sa: IkeSa, link: Link, facts: NewChild): ChildSa {
  const phase = establishedPhase(sa);
  if (phase === null || sa.local === null) throw new TypeError("A Child SA needs an established IKE SA.");
  const { protocol } = facts.suite;
  // AH has no encapsulation; where there is a NAT it is not agreed to (v2/child-negotiation.ts).
  const encapsulation = phase.session.encapsulated && protocol === "esp" ? ("udp" as const) : ("none" as const);
  const id = newId(turn, "child");
  const common = {
    childSaId: id,
    extendedSequenceNumbers: facts.suite.esn === Esn.ESN,
    protocol,
    mode: facts.mode,
    local: sa.local,
    remote: sa.remote,
    encapsulation,
    ...throughInterface(link.config),
  };
  const { localSelectors, remoteSelectors } = facts;
  const inbound: Omit<InboundSa, "keys"> = {
    ...common,
    direction: "inbound",
    spi: facts.inboundSpi,
    replayWindowPackets: link.config.replayWindowPackets,
    localSelectors,
    remoteSelectors,
  };
  const outbound: OutboundSa = { ...common, direction: "outbound", spi: facts.outboundSpi, keys: facts.outboundKeys, ...volumeLimits(turn, link.config) };
  const child: ChildSa = {
    id,
    name: facts.name,
    config: facts.config,
    madeAs: facts.madeAs,
    lowestNonce: facts.lowestNonce,
    isShared: facts.isShared,
    replaces: facts.replaces,
    answer: facts.madeAs === "initiator" ? null : { ikeSaId: sa.id, nextReceive: sa.window.nextReceive, inAuth: isFirstOf(phase, facts.lowestNonce) },
    suite: facts.suite,
    inbound,
    outboundSpi: facts.outboundSpi,
    outbound: facts.use === "never" ? null : outbound.spi,
    installedAt: turn.now,
    packetsSeen: 0,
    rekeyAt: facts.use === "never" ? null : softDeadline(turn, link.config.childRekeyMs),
    expiresAt: hardDeadline(turn, link.config.childRekeyMs),
    state: facts.use === "never" ? { kind: "redundant" } : { kind: "established" },
  };
  phase.children.set(id, child);
  // The peer, or a packet, wants it.
  if (facts.use !== "never") link.resting.delete(facts.name);
  turn.engine.children.add(id, inbound.spi, sa);
  turn.effects.push({ kind: "installSa", sa: { ...inbound, keys: facts.inboundKeys } });
  if (child.outbound !== null) turn.effects.push({ kind: "installSa", sa: outbound });
  traceChoice(
    turn,
    link.config.id,
    "CHILD_SA",
    `Child SA ${facts.name} installed: in ${hex32(inbound.spi)}, out ${hex32(outbound.spi)}, ${formatEspSuite(facts.suite)}${protocol === "ah" ? ", AH" : ""}${facts.mode === "transport" ? ", transport mode" : ""}`,
    {
      childSaId: id,
      protocol,
      mode: facts.mode,
      encapsulation,
      use: facts.use,
    },
  );
  // On an IKE SA that is to be deleted it is only there to be deleted with it.
  if (isEnding(sa)) return child;
  if (facts.use === "now" || (facts.use === "whenPeerDoes" && currentChild(turn, link, facts.name) === null)) sendOver(turn, link, child);
  return child;
}

/** Stops sending on a child: the policy goes to its successor or the newest other one of its name, or to discard. */
export function retireOutbound(turn: Turn, link: Link | null, child: ChildSa): void {
  if (link !== null) {
    const policy = link.policies.get(child.name);
    if (policy !== undefined && placeOf(policy, child.id) !== null) vacate(turn, link, child, fallbackFor(turn, link, child));
  }
  if (child.outbound === null) return;
  if (link !== null) noteUse(turn, link, child);
  child.outbound = null;
  turn.effects.push({ kind: "deleteSa", direction: "outbound", spi: child.outboundSpi });
}

/** Forgets a child whose exchange is over. Its inbound SA stays for packets in flight unless it is `atOnce`. */
export function dropChild(turn: Turn, sa: IkeSa, link: Link | null, child: ChildSa, atOnce = false): void {
  retireOutbound(turn, link, child);
  (childrenOf(sa) as Map<string, ChildSa>).delete(child.id);
  turn.engine.children.forget(child.id);
  reviveReplaced(turn, sa, child);
  const grave = { spi: child.inbound.spi, at: turn.now + IN_FLIGHT_MS };
  if (atOnce) endInbound(turn, grave);
  else bury(turn, grave);
  if (sa.linkId !== null) emitEvent(turn, { kind: "childSaDeleted", linkId: sa.linkId, childSaId: child.id });
}

/** The peer was to delete these in favour of a child that is gone now: they go on. */
function reviveReplaced(turn: Turn, sa: IkeSa, gone: ChildSa): void {
  for (const child of childrenOf(sa).values()) {
    if (child.state.kind !== "rekeyed" || child.state.successorId !== gone.id || child.state.abandonAt === null || child.outbound === null) continue;
    if (gone.state.kind === "rekeyed") child.state = { ...child.state, successorId: gone.state.successorId };
    else {
      child.state = { kind: "established" };
      child.rekeyAt = retryAfterRefusal(turn);
    }
  }
}

function bury(turn: Turn, grave: Grave): void {
  turn.engine.graves.add(grave);
  turn.engine.timers.graves.set(grave, { at: grave.at, reason: "old inbound SA" });
}

/** No packet can be under way to it any more. */
export function endInbound(turn: Turn, grave: Grave): void {
  turn.engine.graves.delete(grave);
  turn.engine.children.free(grave.spi);
  turn.effects.push({ kind: "deleteSa", direction: "inbound", spi: grave.spi });
}

/** Children of a link by name, on any IKE SA that is not being deleted; those out of use are left out. */
export function liveChildren(turn: Turn, linkId: string, name: string): { readonly sa: IkeSa; readonly child: ChildSa }[] {
  const live: { sa: IkeSa; child: ChildSa }[] = [];
  for (const sa of ikeSasOf(turn, linkId)) {
    const phase = establishedPhase(sa);
    if (phase === null || isEnding(sa)) continue;
    for (const child of phase.children.values()) if (child.name === name && child.state.kind === "established") live.push({ sa, child });
  }
  return live;
}

/** The child that the policy points at. */
export function currentChild(turn: Turn, link: Link, name: string): ChildSa | null {
  const id = link.policies.get(name)?.childSaId ?? null;
  if (id === null) return null;
  for (const sa of ikeSasOf(turn, link.config.id)) {
    const child = childrenOf(sa).get(id);
    if (child !== undefined) return child;
  }
  return null;
}

/** A soft deadline shortened by the jitter of the options; null for a lifetime of 0, which is no limit. */
export function softDeadline(turn: Turn, lifetimeMs: number): Instant | null {
  return lifetimeMs === 0 ? null : Math.floor(turn.now + lifetimeMs * (1 - turn.engine.options.rekeyJitter * randomShare(turn)));
}

export function hardDeadline(turn: Turn, lifetimeMs: number): Instant {
  return lifetimeMs === 0 ? Number.POSITIVE_INFINITY : Math.floor(turn.now + lifetimeMs * HARD_LIFETIME_SHARE + HARD_LIFETIME_MARGIN_MS);
}

/** In octets and packets, as in time: rekeyed at the soft limit, shortened by the jitter; past the hard one the plane passes nothing more. */
function volumeLimits(turn: Turn, { childRekeyBytes, childRekeyPackets }: LinkConfig): SaLifetimes {
  const shorten = (limit: number): number => Math.max(1, Math.floor(limit * (1 - turn.engine.options.rekeyJitter * randomShare(turn))));
  return {
    ...(childRekeyBytes === undefined
      ? {}
      : { softBytes: shorten(childRekeyBytes), hardBytes: Math.ceil(childRekeyBytes * HARD_LIFETIME_SHARE) + HARD_LIFETIME_MARGIN_BYTES }),
    ...(childRekeyPackets === undefined
      ? {}
      : { softPackets: shorten(childRekeyPackets), hardPackets: Math.ceil(childRekeyPackets * HARD_LIFETIME_SHARE) + HARD_LIFETIME_MARGIN_PACKETS }),
  };
}

/** Made in IKE_AUTH, of the nonces of IKE_SA_INIT. */
function isFirstOf(phase: EstablishedPhase, lowestNonce: PackedOctets): boolean {
  return phase.authentication.lowestNonce === lowestNonce;
}
