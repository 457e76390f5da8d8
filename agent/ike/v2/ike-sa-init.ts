import { proceedAfterInit } from "./ike-intermediate.ts";
import { findKex, startKeyExchange } from "../../crypto/key-exchange.ts";
import type { UdpEndpoint } from "../../ipsec/security-association.ts";
import { ExchangeType, NotifyType } from "../../wire/iana.ts";
import { refuseUnknownCritical, serializeMessage } from "../../wire/ikev2/message.ts";
import type { IkeSpi, Message, Payload, Proposal } from "../../wire/ikev2/message-types.ts";
import { type IkeProtocolError, invalidSyntax } from "../../wire/ikev2/protocol-error.ts";
import { readU16 } from "../../wire/octets.ts";
import { type Failure, recordFailure, traceFinding } from "../diagnosis/failure.ts";
import { groupRefused, intermediateMissing, noCommonProposal, proposalsRefused } from "../diagnosis/proposals.ts";
import { brokenByPeer, refusedByNotify } from "../diagnosis/refusal.ts";
import { cookieLoop, cookieReturned } from "../diagnosis/strangers.ts";
import { newReassembly } from "../fragmentation.ts";
import { establishedPhase, type IkeSa, type InitAnsweredPhase, type InitOffer, isEnding, type Link, newWindow, type Role } from "../ike-sa.ts";
import {
  answerInClear,
  findError,
  findNotify,
  findPayload,
  headerOf,
  holdOutstanding,
  invalidKe,
  keepResponse,
  notify,
  registerIkeSa,
  repeatResponse,
  transmit,
  unregisterIkeSa,
} from "../messaging.ts";
import type { Candidates } from "../link-index.ts";
import { type Choice, chooseIke, describeOffer, describeSpecs, type IkeSuite, offer } from "../negotiation/choose-proposal.ts";
import { natDetectionNotifies } from "../negotiation/nat-detection.ts";
import { formatKex } from "../negotiation/proposal-keywords.ts";
import { traceChoice, traceMessage } from "../trace.ts";
import { ikeSasOf, newId, newIkeSpi, type Turn } from "../turn.ts";
import { answerExchange, NONCE_OCTETS, peerSecret, requireNonce } from "./exchange-values.ts";
import { certificateRequest } from "./ike-auth.ts";
import { capabilities, newSession, traceSession } from "./init-session.ts";
import { halfOpenKey, passesFloodControl, plainOf, refuseStranger } from "./init-strangers.ts";

/* IKE_SA_INIT (RFC 7296 §1.2, §2.6, §2.7, §2.23): HDR, SAi1, KEi, Ni  -->  <--  HDR, SAr1, KEr, Nr */

/** How often the responder may send us back for a cookie or a group before we give up. */
export const MOST_ROUNDS = 5;
/** An error in the clear may be forged: wait at most this long for a real answer (RFC 7296 §2.21.1). */
const HINT_PATIENCE_MS = 2_000;
/** Sends our IKE_SA_INIT to the peer. `replaces`: the IKE SA that goes once this one is up. */
export function beginIkeSa(turn: Turn, link: Link, remoteAddress: string, replaces: string | null): IkeSa {
  const { config } = link;
  const local = config.localAddress === null ? null : { address: config.localAddress, port: turn.engine.options.ikePort };
  const first: InitOffer = {
    specs: link.ike,
    kex: startKeyExchange(link.ike[0]!.kex[0]!),
    nonce: turn.engine.random.bytes(NONCE_OCTETS),
    cookie: null,
    rounds: 0,
    request: new Uint8Array(0),
  };
  const sa: IkeSa = {
    ...newIkeSa(turn, "initiator", newIkeSpi(turn), 0n as IkeSpi, local, { address: remoteAddress, port: config.remotePort }),
    linkId: config.id,
    candidateLinkId: null,
    replaces,
    phase: { kind: "initSent", offer: first },
  };
  registerIkeSa(turn, sa);
  sendInit(turn, sa, link, first);
  return sa;
}

/** The responder's answer: a cookie, another group, an error, or keys. Unauthenticated: nothing in it ends the attempt at once. */
export function onInitResponse(turn: Turn, sa: IkeSa, link: Link, message: Message, datagram: Uint8Array, local: UdpEndpoint): void {
  if (sa.phase.kind !== "initSent" || message.header.messageId !== 0) return;
  const { payloads } = message;
  const { offer: sent } = sa.phase;
  traceMessage(turn, sa.linkId, "received", message.header, plainOf(datagram));
  refuseUnknownCritical(payloads);
  const cookie = findNotify(payloads, NotifyType.COOKIE);
  const error = findError(payloads);
  if (cookie !== null && findPayload(payloads, "sa") === null) {
    if (cookie.data.length === 0 || cookie.data.length > 64) return;
    if (sent.rounds >= MOST_ROUNDS) return rememberHint(turn, sa, cookieLoop(sent.rounds, sa.remote.address));
    traceFinding(turn, link.config.id, "IKE_SA_INIT", cookieReturned(sa.remote.address));
    // The request is repeated as it was, with the cookie in front (RFC 7296 §2.6).
    sendInit(turn, sa, link, { ...sent, cookie: cookie.data.slice(), rounds: sent.rounds + 1 });
    return;
  }
  if (error?.type === NotifyType.INVALID_KE_PAYLOAD) return onInvalidKe(turn, sa, link, sent, error.data);
  if (error !== null) {
    const isProposal = error.type === NotifyType.NO_PROPOSAL_CHOSEN;
    return rememberHint(turn, sa, isProposal ? proposalsRefused("IKE", describeSpecs(link.ike), false, true) : refusedByNotify("IKE_SA_INIT", error));
  }
  completeInit(turn, sa, link, sent, message, datagram, local);
}

function completeInit(turn: Turn, sa: IkeSa, link: Link, sent: InitOffer, message: Message, datagram: Uint8Array, local: UdpEndpoint): void {
  const { payloads, header } = message;
  const chosen = findPayload(payloads, "sa");
  const ke = findPayload(payloads, "ke");
  if (chosen === null || ke === null || header.spiR === 0n) throw invalidSyntax("The answer to IKE_SA_INIT lacks SA, KE or the responder's SPI.");
  const nonceR = requireNonce(payloads);
  const choice = chosen.proposals.length === 1 ? chooseIke(chosen.proposals, sent.specs, sent.kex.method, doesIntermediate(payloads)) : null;
  if (choice === null || choice.suite.kex !== ke.method || ke.method !== sent.kex.method) {
    throw invalidSyntax(`The peer chose ${describeOffer(chosen.proposals)}, which was not offered.`);
  }
  const secret = peerSecret(() => sent.kex.computeSharedSecret(ke.data));
  // One that waits for its DELETE is what this one follows.
  const isUp = (other: IkeSa): boolean => other !== sa && establishedPhase(other) !== null && !isEnding(other);
  const duplicate = sa.replaces === null && ikeSasOf(turn, link.config.id).some(isUp);
  if (duplicate) {
    // Both ends began at once and the peer's SA is up: ours would only be a second one. Nothing of it exists at the peer but a
    // half-open SA, which times out.
    traceChoice(turn, link.config.id, "IKE_SA_INIT", "The peer's IKE SA came up first; ours is given up.");
    unregisterIkeSa(turn, sa);
    return;
  }
  sa.spiR = header.spiR;
  sa.local = local;
  const session = newSession(turn, link, "responder", choice, { spiI: sa.spiI, spiR: sa.spiR, nonceI: sent.nonce, nonceR }, secret, payloads, local, sa.remote);
  traceSession(turn, link.config.id, session);
  if (session.encapsulated) float(turn, sa, link);
  sa.window.outstanding = null;
  sa.lastReceivedAt = turn.now;
  const transcript = { request: sent.request, response: datagram.slice(), nonceI: sent.nonce, nonceR, intermediate: null };
  proceedAfterInit(turn, sa, link, session, transcript);
}

/**
 * A stranger's IKE_SA_INIT. `links` are those whose addresses fit. Until the initiator has returned a cookie nothing is remembered
 * once many are half open. Throws IkeProtocolError for a request that is none.
 */
export function onInitRequest(turn: Turn, links: Candidates, message: Message, datagram: Uint8Array, local: UdpEndpoint, remote: UdpEndpoint): void {
  const { header, payloads } = message;
  const cacheKey = halfOpenKey(remote, header.spiI);
  const known = turn.engine.halfOpen.get(cacheKey);
  if (known !== undefined && known.phase.kind === "initAnswered" && sameOctets(known.phase.transcript.request, datagram)) {
    // Once IKE_INTERMEDIATE has been answered, the request is only late.
    if (known.window.lastResponse?.messageId === 0) repeatResponse(turn, known);
    return;
  }
  const offered = findPayload(payloads, "sa");
  const ke = findPayload(payloads, "ke");
  if (offered === null || ke === null) throw invalidSyntax("IKE_SA_INIT needs SA and KE.");
  const nonceI = requireNonce(payloads);
  if (!passesFloodControl(turn, message, nonceI, local, remote)) return;
  const linkId = links.only?.config.id ?? null;
  if (links.size === 0) return refuseStranger(turn, header, local, remote);
  traceMessage(turn, linkId, "received", header, plainOf(datagram));
  const agreement = agree(links, offered.proposals, ke.method, doesIntermediate(payloads));
  if (agreement === null) {
    const lacksOnlyExchange = agree(links, offered.proposals, ke.method, true) !== null;
    recordFailure(
      turn,
      linkId,
      "IKE_SA_INIT",
      lacksOnlyExchange ? intermediateMissing() : noCommonProposal("IKE", offered.proposals, links.some(1)[0]!.ike, true, false),
    );
    return answerInClear(turn, header, local, remote, linkId, [notify(NotifyType.NO_PROPOSAL_CHOSEN)]);
  }
  const { suite } = agreement.choice;
  if (suite.kex !== ke.method) {
    traceChoice(turn, linkId, "IKE_SA_INIT", `The peer's key exchange value is for ${formatKex(ke.method)}; it is asked for ${formatKex(suite.kex)}.`);
    return answerInClear(turn, header, local, remote, linkId, [invalidKe(suite.kex)]);
  }
  acceptInit(turn, links, agreement, { message, datagram, local, remote, nonceI, cacheKey, keData: ke.data, linkId });
}

/** The peer's answer cannot be used. It is not authenticated, so a better one is waited for, and this told if none comes (RFC 7296 §2.21.1). */
export function noteUnusableAnswer(sa: IkeSa, error: IkeProtocolError): void {
  const { outstanding } = sa.window;
  if (outstanding !== null) outstanding.hint ??= brokenByPeer("answer to IKE_SA_INIT", error);
}

interface Agreement {
  readonly link: Link;
  readonly choice: Choice<IkeSuite>;
}

interface Arrival {
  readonly message: Message;
  readonly datagram: Uint8Array;
  readonly local: UdpEndpoint;
  readonly remote: UdpEndpoint;
  readonly nonceI: Uint8Array;
  readonly cacheKey: string;
  readonly keData: Uint8Array;
  readonly linkId: string | null;
}

function acceptInit(turn: Turn, links: Candidates, { link, choice }: Agreement, arrival: Arrival): void {
  const { message, local, remote, nonceI, linkId } = arrival;
  const { publicData, sharedSecret } = answerExchange(choice.suite.kex, arrival.keData);
  const nonceR = turn.engine.random.bytes(NONCE_OCTETS);
  const base = newIkeSa(turn, "responder", message.header.spiI, newIkeSpi(turn), local, remote);
  const session = newSession(
    turn,
    link,
    "initiator",
    choice,
    { spiI: base.spiI, spiR: base.spiR, nonceI, nonceR },
    sharedSecret,
    message.payloads,
    local,
    remote,
  );
  const fake = links.forceEncapsulation();
  const answer: Payload[] = [
    { kind: "sa", proposals: [choice.proposal] },
    { kind: "ke", method: choice.suite.kex, data: publicData },
    { kind: "nonce", data: nonceR },
    ...natDetectionNotifies(base, local, remote, fake, turn.engine.random),
    ...capabilities("responder", choice.suite.additional.length > 0),
    // The initiator sends its certificate only when asked (RFC 7296 §1.2: CERTREQ of the responder is here).
    ...certificateRequest(links.byAuthorities()),
  ];
  const header = headerOf(base, ExchangeType.IKE_SA_INIT, 0, true);
  const response = serializeMessage(header, answer);
  const transcript = { request: arrival.datagram.slice(), response, nonceI, nonceR, intermediate: null };
  const phase: InitAnsweredPhase = { kind: "initAnswered", session, transcript, cacheKey: arrival.cacheKey, previous: null };
  const sa: IkeSa = { ...base, linkId: null, candidateLinkId: linkId, replaces: null, phase };
  keepResponse(sa, 0, [response]);
  registerIkeSa(turn, sa);
  turn.engine.halfOpen.set(arrival.cacheKey, sa);
  traceSession(turn, linkId, session);
  traceMessage(turn, linkId, "sent", header, plainOf(response));
  transmit(turn, sa, [response]);
}

/** Additional key exchanges before IKE_AUTH need IKE_INTERMEDIATE, which both sides have to announce (RFC 9242 §3.1, RFC 9370 §2.2.1). */
export function doesIntermediate(payloads: readonly Payload[]): boolean {
  return findNotify(payloads, NotifyType.INTERMEDIATE_EXCHANGE_SUPPORTED) !== null;
}

/** Several links may fit the addresses; IKE_AUTH tells them apart. The first that has a common proposal speaks for all. */
function agree(links: Candidates, proposals: readonly Proposal[], keMethod: number, peerDoesIntermediate: boolean): Agreement | null {
  for (const link of links.byProposals()) {
    const choice = chooseIke(proposals, link.ike, keMethod, peerDoesIntermediate);
    if (choice !== null) return { link, choice };
  }
  return null;
}

/** RFC 7296 §2.23: the peer has to be told where this comes from before anything has come back to an address of ours. */
function likelyLocal({ engine: { options } }: Turn, { remote }: IkeSa): UdpEndpoint | null {
  const address = options.sourceOf?.(remote.address) ?? null;
  return address === null ? null : { address, port: options.ikePort };
}

function sendInit(turn: Turn, sa: IkeSa, link: Link, next: InitOffer): void {
  const first: Payload[] = next.cookie === null ? [] : [notify(NotifyType.COOKIE, next.cookie)];
  const payloads: Payload[] = [
    ...first,
    { kind: "sa", proposals: offer(next.specs, new Uint8Array(0), true) },
    { kind: "ke", method: next.kex.method, data: next.kex.publicData },
    { kind: "nonce", data: next.nonce },
    ...natDetectionNotifies(sa, sa.local ?? likelyLocal(turn, sa), sa.remote, link.config.forceEncapsulation, turn.engine.random),
    ...capabilities(
      "initiator",
      next.specs.some((spec) => spec.additional.length > 0),
    ),
  ];
  const header = headerOf(sa, ExchangeType.IKE_SA_INIT, 0, false);
  const request = serializeMessage(header, payloads);
  sa.phase = { kind: "initSent", offer: { ...next, request } };
  sa.window.outstanding = null;
  sa.window.nextSend = 0;
  traceMessage(turn, sa.linkId, "sent", header, plainOf(request));
  holdOutstanding(turn, sa, ExchangeType.IKE_SA_INIT, [request], { kind: "ikeSaInit" });
}

/** Only a group that we offered is tried: otherwise anyone on the path could choose our key exchange (RFC 7296 §1.2). */
function onInvalidKe(turn: Turn, sa: IkeSa, link: Link, sent: InitOffer, data: Uint8Array): void {
  if (data.length !== 2) return;
  const method = readU16(data, 0);
  const isOffered = sent.specs.some((spec) => spec.kex.some((one) => one === method));
  if (!isOffered || findKex(method) === undefined || method === sent.kex.method || sent.rounds >= MOST_ROUNDS) {
    return rememberHint(turn, sa, groupRefused("IKE", method, describeSpecs(sent.specs), false));
  }
  traceChoice(
    turn,
    link.config.id,
    "IKE_SA_INIT",
    `The peer wants ${formatKex(method)} instead of ${formatKex(sent.kex.method)}; the request is repeated with it.`,
  );
  sendInit(turn, sa, link, { ...sent, kex: startKeyExchange(method), rounds: sent.rounds + 1 });
}

function rememberHint(turn: Turn, sa: IkeSa, failure: Failure): void {
  const { outstanding } = sa.window;
  if (outstanding === null || outstanding.hint !== null) return;
  outstanding.hint = failure;
  outstanding.sends = Number.POSITIVE_INFINITY;
  outstanding.nextAt = Math.min(outstanding.nextAt, turn.now + HINT_PATIENCE_MS);
}

function newIkeSa(
  turn: Turn,
  role: Role,
  spiI: IkeSpi,
  spiR: IkeSpi,
  local: UdpEndpoint | null,
  remote: UdpEndpoint,
): Omit<IkeSa, "linkId" | "candidateLinkId" | "replaces" | "phase"> {
  return {
    id: newId(turn, "ike"),
    role,
    spiI,
    spiR,
    local,
    remote,
    createdAt: turn.now,
    lastReceivedAt: turn.now,
    lastSentAt: turn.now,
    path: null,
    // IKE_SA_INIT is message 0 of its initiator.
    window: newWindow(0, role === "initiator" ? 0 : 1),
    reassembly: newReassembly(),
  };
}

/** RFC 7296 §2.23: from here on both ends use the NAT-T port. */
function float(turn: Turn, sa: IkeSa, link: Link): void {
  const { ikePort, natPort } = turn.engine.options;
  const { remotePort } = link.config;
  sa.local = { address: sa.local!.address, port: natPort };
  sa.remote = { address: sa.remote.address, port: remotePort === ikePort ? natPort : remotePort === 500 ? 4500 : remotePort };
  traceChoice(
    turn,
    link.config.id,
    "IKE_SA_INIT",
    `Traffic goes in UDP from port ${natPort} to port ${sa.remote.port}: ${link.config.forceEncapsulation ? "this side asks for it" : "there is a NAT"}.`,
  );
}

function sameOctets(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((octet, index) => octet === b[index]);
}
