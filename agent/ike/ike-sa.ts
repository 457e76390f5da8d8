import type { UdpEndpoint } from "../ipsec/security-association.ts";
import type { IkeSpi, Payload } from "../wire/ikev2/message-types.ts";
import type { PackedOctets } from "../wire/octets.ts";
import type { Certificate } from "../crypto/certificate.ts";
import type { KeyExchange } from "../crypto/key-exchange.ts";
import type { PendingExchange } from "./agreement.ts";
import type { ChildSa } from "./child-sa.ts";
import type { Failure } from "./diagnosis/failure.ts";
import type { ChildConfig, Instant, LinkConfig } from "./endpoint-types.ts";
import type { Reassembly } from "./fragmentation.ts";
import { toWireIdentity, type WireIdentity } from "./negotiation/identity.ts";
import type { IntermediateMacs } from "./negotiation/intermediate-auth.ts";
import type { ProposalSpec } from "./negotiation/proposal-keywords.ts";
import type { Path } from "./path-index.ts";
import type { Session } from "./session.ts";
import type { ActiveTask, Task } from "./task.ts";

export type Role = "initiator" | "responder";
export type NatSide = "none" | "local" | "remote" | "both";

/** An IKE SA, from its first message to the end of its DELETE exchange. What is only valid in one state lives in its `phase`. */
export interface IkeSa {
  readonly id: string;
  /** Who sent the first IKE_SA_INIT, or the CREATE_CHILD_SA that rekeyed into it: it sets the I bit (RFC 7296 §2.2). */
  readonly role: Role;
  readonly spiI: IkeSpi;
  /** 0 until the responder's first answer. */
  spiR: IkeSpi;
  /** Null as responder until IKE_AUTH has said who the peer is. */
  linkId: string | null;
  /** As responder: the only link that the peer's address can mean, whose trace the messages before IKE_AUTH go into; else null. */
  readonly candidateLinkId: string | null;
  /** The IKE SA that goes once this one and its children are up: reauthentication, make before break. */
  replaces: string | null;
  local: UdpEndpoint | null;
  remote: UdpEndpoint;
  readonly createdAt: Instant;
  lastReceivedAt: Instant;
  lastSentAt: Instant;
  /** While it is established; kept true by `PathIndex.settle`. */
  path: Path | null;
  readonly window: MessageWindow;
  readonly reassembly: Reassembly;
  phase: Phase;
}

/** RFC 7296 §2.2, §2.3 with a window of one: one request outstanding, the next waits behind it. */
export interface MessageWindow {
  nextSend: number;
  nextReceive: number;
  outstanding: Outstanding | null;
  readonly queue: Task[];
  /** Kept so that a retransmitted request gets the same octets again. */
  lastResponse: { readonly messageId: number; readonly datagrams: readonly PackedOctets[] } | null;
}

export interface Outstanding {
  readonly messageId: number;
  readonly exchangeType: number;
  readonly task: ActiveTask;
  /** One datagram, or its fragments; every retransmission sends exactly these (RFC 7296 §2.1). */
  readonly datagrams: readonly Uint8Array[];
  readonly firstSentAt: Instant;
  sends: number;
  nextAt: Instant;
  /** An unauthenticated error notify that came instead of the answer: believed only when nothing better comes (RFC 7296 §2.21). */
  hint: Failure | null;
}

/** Both IKE_SA_INIT messages as sent, and the nonces: what AUTH signs (RFC 7296 §2.15). */
export interface InitTranscript {
  readonly request: Uint8Array;
  readonly response: Uint8Array;
  readonly nonceI: Uint8Array;
  readonly nonceR: Uint8Array;
  /** Null: there was no IKE_INTERMEDIATE exchange (yet). */
  readonly intermediate: IntermediateMacs | null;
}

export type Phase =
  | { readonly kind: "initSent"; readonly offer: InitOffer }
  /** Initiator: an additional key exchange is under way (RFC 9370 §2.2.2). */
  | { readonly kind: "intermediateSent"; readonly session: Session; readonly transcript: InitTranscript }
  | { readonly kind: "authSent"; readonly session: Session; readonly transcript: InitTranscript }
  /** Responder: half-open until IKE_AUTH comes. */
  | InitAnsweredPhase
  | EstablishedPhase
  /** DELETE sent, or about to be; the children are out of use and their inbound SAs stay until the peer has answered. */
  | { readonly kind: "deleting"; readonly session: Session; readonly established: EstablishedPhase }
  /** Gone for both sides; it only repeats its last answer until then. */
  | { readonly kind: "closed"; readonly session: Session; readonly forgetAt: Instant };

export interface InitAnsweredPhase {
  readonly kind: "initAnswered";
  readonly session: Session;
  readonly transcript: InitTranscript;
  readonly cacheKey: string;
  /** The keys before the last IKE_INTERMEDIATE: its request comes again under them when our answer got lost. */
  readonly previous: Session | null;
}

/** What the initiator keeps to repeat IKE_SA_INIT with a cookie or another group. */
export interface InitOffer {
  readonly specs: readonly ProposalSpec[];
  readonly kex: KeyExchange;
  readonly nonce: Uint8Array;
  readonly cookie: Uint8Array | null;
  /** Groups tried and rounds made: an attacker must not keep us asking (RFC 7296 §2.6). */
  readonly rounds: number;
  readonly request: Uint8Array;
}

/** From the first message of IKE_SA_INIT to the end of IKE_AUTH. */
export interface Authentication {
  readonly begunAt: Instant;
  readonly doneAt: Instant;
  /** The lower nonce of IKE_SA_INIT: decides which of two duplicates stays, as in RFC 7296 §2.8.2. */
  readonly lowestNonce: PackedOctets;
  /** The peer's certificate up to a trusted one: it is to be known when one of them is revoked or at its end. Empty with a pre-shared key. */
  readonly path: readonly Certificate[];
}

export interface EstablishedPhase {
  readonly kind: "established";
  readonly session: Session;
  /** Goes on through rekeys, so that both ends see the same whichever rekeys they know of. */
  readonly authentication: Authentication;
  /** Our part when it was authenticated; rekeys change `role` and not this. */
  readonly begunAs: Role;
  readonly establishedAt: Instant;
  /** Null: this side does not begin it (any more). */
  rekeyAt: Instant | null;
  readonly expiresAt: Instant;
  reauthenticateAt: Instant | null;
  /** When to look whether a certificate of the peer's path has ended; null: it has none. */
  expiryCheckAt: Instant | null;
  readonly remoteIdentity: string;
  readonly credentialId: string | null;
  readonly children: Map<string, ChildSa>;
  /** Children are missing, and the peer, which began the IKE SA, makes them; if it has not by the link's `retryAt`, this end does. */
  leftToPeer: boolean;
  /** The peer may have an older IKE SA, and goes on sending over that one until it is known that our new Child SAs are there. */
  toConfirm: boolean;
  /** Made by a rekey of this SA: by our request, by the peer's. The children move to the one that stays. */
  successor: IkeSa | null;
  /** Agreed on at the peer's request, and waiting for additional key exchanges. */
  readonly pending: PendingExchange[];
  /** When to delete a duplicate or a rekeyed SA ourselves should the peer, whose part it is, not do it. */
  abandonAt: Instant | null;
}

/** What it is found by (configuration, `wanted`) changes inside `LinkIndex.change` alone. */
export interface Link {
  config: LinkConfig;
  ike: readonly ProposalSpec[];
  esp: readonly ProposalSpec[];
  /** `down` after the command: nothing is begun by us; `up` begins even a link that only responds. */
  wanted: "up" | "down" | "respond";
  /** When to look for missing SAs again; null: nothing to be done. */
  retryAt: Instant | null;
  retryDelayMs: number;
  attempts: number;
  /** Since when a changed configuration or a command wants the IKE SA authenticated anew; where there is none, one is begun. Null: none does. */
  replaceWantedAt: Instant | null;
  state: "negotiating" | "up" | "degraded" | "down";
  since: Instant;
  lastFailure: { readonly at: Instant; readonly code: string; readonly sentence: string } | null;
  /** The outbound SA that each child's policy points at; null: discard. */
  readonly policies: Map<string, LinkPolicy>;
  /** Children that were closed because nobody needed them: made again when somebody does. */
  readonly resting: Set<string>;
  /** Since when no packet has been seen to pass, by child; only of links that close what carries none, and when to look again. */
  readonly idleSince: Map<string, Instant>;
  lookAt: Instant | null;
  /** False once the peer has fallen silent at a probe of the path: it may be one that cannot be asked that way. */
  isProbed: boolean;
  /** Children of which the peer is not to be asked for as many Child SAs of the same selectors as there are workers, or not yet; null: there are none. */
  furtherLimits: Map<string, FurtherLimit> | null;
}

export interface FurtherLimit {
  /** It has refused one more than these; Infinity: it has not. */
  readonly most: number;
  /** When to ask again; null: nothing is to be waited for. */
  readonly pausedUntil: Instant | null;
}

export interface LinkPolicy {
  readonly child: ChildConfig;
  /** Every worker of the data plane may send on it. */
  readonly childSaId: string | null;
  /** Those that one worker each sends on, of the first, the second and so on; absent: none has one of its own (RFC 9611). */
  readonly bound?: readonly (string | null)[];
}

export type Notify = Extract<Payload, { kind: "notify" }>;

/** As they travel. Made from the configuration each time: for each of 10,000 links they would be kept for a handshake in days. */
export function localIdentityOf({ config }: Link): WireIdentity {
  return toWireIdentity(config.localIdentity);
}

export function remoteIdentityOf({ config }: Link): WireIdentity {
  return toWireIdentity(config.remoteIdentity);
}

/** Our own SPI: what the peer's messages are found by. */
export function ownSpi(sa: IkeSa): IkeSpi {
  return sa.role === "initiator" ? sa.spiI : sa.spiR;
}

/** Initiator, and the peer has not proved itself yet. */
export function isBeginning(sa: IkeSa): boolean {
  return sa.phase.kind === "initSent" || sa.phase.kind === "intermediateSent" || sa.phase.kind === "authSent";
}

/** Its DELETE is under way, or waits for the answer to the outstanding request: nothing else is begun on it. */
export function isEnding(sa: IkeSa): boolean {
  return sa.phase.kind === "deleting" || sa.window.queue.some((task) => task.kind === "deleteIke");
}

/** A packet that wants through begins it while nothing else does. */
export function waitsForPackets({ config }: Link): boolean {
  return config.initiate === "onDemand" || config.livenessAction === "trap";
}

/** What it has been rekeyed into; null: nothing, or it is not known yet. */
export function rekeyedInto({ phase }: IkeSa): IkeSa | null {
  if (phase.kind === "established") return phase.successor;
  return phase.kind === "deleting" ? phase.established.successor : null;
}

/** Whose trace its messages belong to; null: nobody can tell yet. */
export function tracedLinkId(sa: IkeSa): string | null {
  return sa.linkId ?? sa.candidateLinkId;
}

/** Keys exist and the peer is authenticated. */
export function establishedPhase(sa: IkeSa): EstablishedPhase | null {
  return sa.phase.kind === "established" ? sa.phase : null;
}

/** Children that still hold data plane SAs, also while the IKE SA is being deleted. */
export function childrenOf(sa: IkeSa): ReadonlyMap<string, ChildSa> {
  if (sa.phase.kind === "established") return sa.phase.children;
  return sa.phase.kind === "deleting" ? sa.phase.established.children : NO_CHILDREN;
}

export function sessionOf(sa: IkeSa): Session | null {
  return sa.phase.kind === "initSent" ? null : sa.phase.session;
}

export function newWindow(nextSend: number, nextReceive: number): MessageWindow {
  return { nextSend, nextReceive, outstanding: null, queue: [], lastResponse: null };
}

const NO_CHILDREN: ReadonlyMap<string, ChildSa> = new Map();
