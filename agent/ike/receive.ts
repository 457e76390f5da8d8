import { onIntermediateRequest } from "./v2/ike-intermediate.ts";
import type { UdpEndpoint } from "../ipsec/security-association.ts";
import { ExchangeType, nameOf, NotifyType, ProtocolId } from "../wire/iana.ts";
import { requireAllowedPayloads } from "../wire/ikev2/exchange-payloads.ts";
import { parseHeader } from "../wire/ikev2/header.ts";
import { parseMessage, parsePayloads, plainForm, refuseUnknownCritical } from "../wire/ikev2/message.ts";
import type { Header, Message, Payload } from "../wire/ikev2/message-types.ts";
import { IkeProtocolError } from "../wire/ikev2/protocol-error.ts";
import { recordFailure } from "./diagnosis/failure.ts";
import { noteEarlyIkeDelete } from "./diagnosis/lifetime.ts";
import { brokenByPeer } from "./diagnosis/refusal.ts";
import { retireOutbound } from "./child-sa.ts";
import { addFragment, checkFragment } from "./fragmentation.ts";
import { childrenOf, establishedPhase, type IkeSa, type Link, sessionOf, tracedLinkId } from "./ike-sa.ts";
import { beginAgainLater, closeWithPeer } from "./link.ts";
import { answerInClear, notify, repeatResponse, sendResponse } from "./messaging.ts";
import { finishRequest } from "./requests.ts";
import { closeIkeSa } from "./sa-removal.ts";
import { openPayload, type Session } from "./session.ts";
import { traceMessage } from "./trace.ts";
import { ikeSaBySpi, linkById, type Turn } from "./turn.ts";
import { answerCreateChildSa, answerFollowUpKe } from "./v2/create-child-sa.ts";
import { onAuthRequest } from "./v2/ike-auth.ts";
import { noteUnusableAnswer, onInitRequest, onInitResponse } from "./v2/ike-sa-init.ts";
import { refuseCritical } from "./v2/init-strangers.ts";
import { answerInformational, beforeEnd, deleteIkeUnheard } from "./v2/informational.ts";
import { inheritByUse } from "./v2/rekey-ike.ts";
import { endRevoked, holdForRevocation, releaseHeld } from "./v2/revocation-wait.ts";

/*
 * A datagram on its way in. Nothing changes before it is authenticated, except by IKE_SA_INIT, which cannot be (RFC 7296 §2.21):
 * header → IKE SA by our own SPI → integrity → message id → exchange.
 */

/** Throws IkeProtocolError for what is to be dropped; what has to be answered has been by then. */
export function receiveDatagram(turn: Turn, datagram: Uint8Array, local: UdpEndpoint, remote: UdpEndpoint): void {
  const { header } = parseHeader(datagram);
  if (header.majorVersion > 2) return answerHigherVersion(turn, datagram, local, remote);
  const message = parseMessage(datagram);
  requireAllowedPayloads(header.exchangeType, "clear", message.payloads);
  if (header.exchangeType === ExchangeType.IKE_SA_INIT) return receiveInit(turn, message, datagram, local, remote);
  const sa = ikeSaBySpi(turn, header.fromInitiator ? header.spiR : header.spiI);
  // RFC 7296 §2.21.4: a message of an SA that is not here may be answered; it is not, since anyone can send one.
  if (sa === null || header.fromInitiator === (sa.role === "initiator") || header.spiI !== sa.spiI || header.spiR !== sa.spiR) return;
  const session = receivingSession(sa, header);
  if (session === null) return;
  const contents = openMessage(sa, session, message, datagram);
  if (contents === null) return;
  if (header.isResponse) receiveResponse(turn, sa, message, contents, local, remote);
  else receiveRequest(turn, sa, message, contents, local, remote);
}

/** What has waited for word of revoked certificates is taken up, and who has been revoked meanwhile is sent away. */
export function onRevocationChanged(turn: Turn): void {
  for (const [sa, { message, contents, local, remote }] of releaseHeld(turn)) {
    if (message.header.isResponse) receiveResponse(turn, sa, message, contents, local, remote);
    else receiveRequest(turn, sa, message, contents, local, remote);
  }
  endRevoked(turn);
}

/** The keys that protect a message with this header: a request that is answered already may come from before the last change of keys. */
function receivingSession(sa: IkeSa, { isResponse, messageId }: Header): Session | null {
  if (sa.phase.kind === "initAnswered" && sa.phase.previous !== null && !isResponse && isAnswered(sa, messageId)) return sa.phase.previous;
  return sessionOf(sa);
}

function receiveInit(turn: Turn, message: Message, datagram: Uint8Array, local: UdpEndpoint, remote: UdpEndpoint): void {
  const { header } = message;
  if (header.isResponse) {
    const sa = ikeSaBySpi(turn, header.spiI);
    const link = sa === null ? null : linkById(turn, sa.linkId);
    if (sa === null || link === null || header.fromInitiator) return;
    try {
      return onInitResponse(turn, sa, link, message, datagram, local);
    } catch (error) {
      if (!(error instanceof IkeProtocolError)) throw error;
      return noteUnusableAnswer(sa, error);
    }
  }
  if (!header.fromInitiator || header.messageId !== 0 || header.spiI === 0n || header.spiR !== 0n) return;
  try {
    refuseUnknownCritical(message.payloads);
  } catch (error) {
    if (!(error instanceof IkeProtocolError)) throw error;
    return refuseCritical(turn, turn.engine.links.between(local.address, remote.address), message, datagram, error, local, remote);
  }
  onInitRequest(turn, turn.engine.links.between(local.address, remote.address), message, datagram, local, remote);
}

/** RFC 7296 §2.5: the answer is in our version and names it; a request only, and with nothing remembered. */
function answerHigherVersion(turn: Turn, datagram: Uint8Array, local: UdpEndpoint, remote: UdpEndpoint): void {
  const { header } = parseHeader(datagram);
  if (header.isResponse) return;
  answerInClear(turn, header, local, remote, null, [notify(NotifyType.INVALID_MAJOR_VERSION)]);
}

/** What was protected, decrypted and not parsed yet: that it is authentic is known, that it makes sense is not. */
interface Contents {
  readonly firstPayload: number;
  readonly bytes: Uint8Array;
}

/** Null while fragments are missing, or for a datagram that holds nothing protected. */
function openMessage(sa: IkeSa, session: Session, message: Message, datagram: Uint8Array): Contents | null {
  const last = message.payloads.at(-1);
  if (last === undefined || (last.kind !== "sk" && last.kind !== "skf")) return null;
  const { header } = message;
  if (last.kind === "sk") return { firstPayload: last.firstPayload, bytes: openPayload(session, sa.role, datagram, last) };
  checkFragment(last);
  const plain = openPayload(session, sa.role, datagram, last);
  // RFC 7383 §2.6.1: of a request that has been answered only the first fragment is answered again.
  if (!header.isResponse && isAnswered(sa, header.messageId)) return last.fragmentNumber === 1 ? { firstPayload: 0, bytes: new Uint8Array(0) } : null;
  const isExpected = header.isResponse ? sa.window.outstanding?.messageId === header.messageId : sa.window.nextReceive === header.messageId;
  return isExpected ? addFragment(sa.reassembly, header, last, plain) : null;
}

/** Throws IkeProtocolError for authentic contents that break the rules of the exchange. */
function readContents(turn: Turn, sa: IkeSa, { header }: Message, contents: Contents): Payload[] {
  // First, for what cannot be read is in the trace too: it is what its reader looks for.
  traceMessage(turn, tracedLinkId(sa), "received", header, contents);
  const payloads = parsePayloads(contents.firstPayload, contents.bytes);
  refuseUnknownCritical(payloads);
  requireAllowedPayloads(header.exchangeType, "protected", payloads);
  return payloads;
}

function receiveResponse(turn: Turn, sa: IkeSa, message: Message, contents: Contents, local: UdpEndpoint, remote: UdpEndpoint): void {
  const { header } = message;
  const { outstanding } = sa.window;
  if (outstanding === null || outstanding.messageId !== header.messageId || outstanding.exchangeType !== header.exchangeType) return;
  if (holdForRevocation(turn, sa, { message, contents, local, remote })) return;
  heardFromPeer(turn, sa, local, remote);
  try {
    finishRequest(turn, sa, readContents(turn, sa, message, contents), () => plainForm(header, contents.firstPayload, contents.bytes));
  } catch (error) {
    if (!(error instanceof IkeProtocolError)) throw error;
    // RFC 7296 §2.21.3: an answer that cannot be used leaves both ends with different pictures; the SA is deleted, to start over.
    recordFailure(turn, sa.linkId, "RESPONSE", brokenByPeer(exchangeOf(message, "answer to "), error));
    sa.window.outstanding = null;
    if (establishedPhase(sa) === null) deleteIkeUnheard(turn, sa);
    else closeWithPeer(turn, sa);
  }
}

function receiveRequest(turn: Turn, sa: IkeSa, message: Message, contents: Contents, local: UdpEndpoint, remote: UdpEndpoint): void {
  const { header } = message;
  if (isAnswered(sa, header.messageId)) {
    // Perhaps a recording: it gets its answer where the peer is known to be, and counts neither as life nor as a move.
    return repeatResponse(turn, sa);
  }
  // A peer that has not proved who it is: its request may have overtaken its answer, and comes again.
  if (sa.phase.kind === "closed" || isUnproven(sa) || header.messageId !== sa.window.nextReceive) return;
  if (holdForRevocation(turn, sa, { message, contents, local, remote })) return;
  heardFromPeer(turn, sa, local, remote);
  sa.window.nextReceive += 1;
  try {
    const payloads = readContents(turn, sa, message, contents);
    if (header.exchangeType === ExchangeType.IKE_INTERMEDIATE) {
      onIntermediateRequest(turn, sa, header.messageId, payloads, plainForm(header, contents.firstPayload, contents.bytes));
    } else answerRequest(turn, sa, message, payloads);
  } catch (error) {
    if (!(error instanceof IkeProtocolError)) throw error;
    refuseRequest(turn, sa, message, error);
  }
}

function answerRequest(turn: Turn, sa: IkeSa, message: Message, payloads: readonly Payload[]): void {
  const { exchangeType, messageId } = message.header;
  const link = linkById(turn, sa.linkId);
  const isAboutChild = exchangeType === ExchangeType.CREATE_CHILD_SA || payloads.some((one) => one.kind === "delete" && one.protocolId === ProtocolId.ESP);
  if (isAboutChild) inheritByUse(turn, sa);
  switch (exchangeType) {
    case ExchangeType.IKE_AUTH: {
      const answer = onAuthRequest(turn, sa, turn.engine.links.between(sa.local?.address ?? "", sa.remote.address), payloads);
      sendResponse(turn, sa, exchangeType, messageId, answer.payloads);
      if (!answer.keep) closeIkeSa(turn, sa);
      return;
    }
    case ExchangeType.CREATE_CHILD_SA:
      return sendResponse(turn, sa, exchangeType, messageId, answerCreateChildSa(turn, sa, link, payloads));
    case ExchangeType.IKE_FOLLOWUP_KE:
      return sendResponse(turn, sa, exchangeType, messageId, answerFollowUpKe(turn, sa, link, payloads));
    case ExchangeType.INFORMATIONAL: {
      if (sa.phase.kind === "initAnswered") throw new IkeProtocolError(NotifyType.INVALID_SYNTAX, "deleteSa", "INFORMATIONAL came before IKE_AUTH.");
      const answer = answerInformational(turn, sa, link, payloads);
      // The peer forgets the Child SAs as soon as it has the answer.
      if (answer.isEnd) for (const child of childrenOf(sa).values()) retireOutbound(turn, link, child);
      sendResponse(turn, sa, exchangeType, messageId, answer.payloads);
      if (answer.isEnd) endByPeer(turn, sa, link);
      return;
    }
    default:
      throw new IkeProtocolError(NotifyType.INVALID_SYNTAX, "notify", `An exchange of type ${exchangeType} is not expected here.`);
  }
}

/** Initiator before the answer to IKE_AUTH. */
function isUnproven(sa: IkeSa): boolean {
  return sa.phase.kind === "intermediateSent" || sa.phase.kind === "authSent";
}

/** A link whose SA the peer has closed waits a moment before it begins anew: the peer may mean it. */
function endByPeer(turn: Turn, sa: IkeSa, link: Link | null): void {
  const wasReplaced = sa.phase.kind === "established" && sa.phase.successor !== null;
  if (link !== null && !wasReplaced && childrenOf(sa).size > 0 && sa.phase.kind === "established") noteEarlyIkeDelete(turn, link, sa.phase);
  beginAgainLater(turn, sa, link);
  closeIkeSa(turn, sa);
}

/**
 * RFC 7296 §2.21.2–2.21.3: the request was authentic, so it is answered. Before IKE_AUTH has succeeded the SA goes too. INVALID_SYNTAX ends
 * it at any time and at both ends, without a DELETE: the two have different pictures of it.
 */
function refuseRequest(turn: Turn, sa: IkeSa, message: Message, error: IkeProtocolError): void {
  recordFailure(turn, tracedLinkId(sa), "REQUEST", brokenByPeer(exchangeOf(message, ""), error));
  if (error.disposition === "discard") return;
  const isEnd = error.disposition === "deleteSa" || error.cause === NotifyType.INVALID_SYNTAX || sa.phase.kind === "initAnswered";
  const link = linkById(turn, sa.linkId);
  if (isEnd) {
    beforeEnd(turn, sa, sa.window.outstanding?.task);
    beginAgainLater(turn, sa, link);
    for (const child of childrenOf(sa).values()) retireOutbound(turn, link, child);
  }
  sendResponse(turn, sa, message.header.exchangeType, message.header.messageId, [notify(error.cause, error.data)]);
  if (isEnd) closeIkeSa(turn, sa);
}

function exchangeOf({ header }: Message, prefix: string): string {
  return `${prefix}${nameOf(ExchangeType, header.exchangeType)}`;
}

function isAnswered(sa: IkeSa, messageId: number): boolean {
  return sa.window.lastResponse?.messageId === messageId;
}

/**
 * An authentic message: the peer lives. With a NAT in front of the peer its endpoint may have moved, and we follow; without one we
 * do not (RFC 7296 §2.23). Before IKE_AUTH is done every authentic message says where the peer wants to be reached.
 */
function heardFromPeer(turn: Turn, sa: IkeSa, local: UdpEndpoint, remote: UdpEndpoint): void {
  sa.lastReceivedAt = turn.now;
  if (sa.phase.kind === "initAnswered") {
    sa.local = local;
    sa.remote = remote;
    return;
  }
  const nat = sessionOf(sa)?.nat ?? "none";
  if (nat === "remote" || nat === "both") moveRemote(turn, sa, remote);
}

/** Sends to another endpoint of the peer from now on, IKE and ESP. */
export function moveRemote(turn: Turn, sa: IkeSa, remote: UdpEndpoint): void {
  if (sa.remote.address === remote.address && sa.remote.port === remote.port) return;
  sa.remote = remote;
  for (const child of childrenOf(sa).values()) {
    if (child.outbound !== null) turn.effects.push({ kind: "updateSa", direction: "outbound", spi: child.outboundSpi, remote });
  }
}
