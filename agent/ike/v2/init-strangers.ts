import type { UdpEndpoint } from "../../ipsec/security-association.ts";
import { NotifyType } from "../../wire/iana.ts";
import { HEADER_LENGTH, parseHeader } from "../../wire/ikev2/header.ts";
import type { PlainOctets } from "../../wire/ikev2/message.ts";
import type { Header, Message } from "../../wire/ikev2/message-types.ts";
import type { IkeProtocolError } from "../../wire/ikev2/protocol-error.ts";
import { type Failure, recordFailure, traceFinding } from "../diagnosis/failure.ts";
import { brokenByPeer } from "../diagnosis/refusal.ts";
import { cookieAsked, halfOpenLimit, linkIsDown, noLinkBetween } from "../diagnosis/strangers.ts";
import type { Candidates } from "../link-index.ts";
import { answerInClear, findNotify, notify } from "../messaging.ts";
import { traceMessage } from "../trace.ts";
import type { Turn } from "../turn.ts";

/* What is done with an IKE_SA_INIT before anyone knows who sent it: anyone can send one, from whatever address, as often as they like (RFC 7296 §2.6). */

/** Anyone can send a request from an address that has no link: one a second is answered and reported. */
const STRANGER_PAUSE_MS = 1_000;

/** How often a flood is told of. */
export const FLOOD_REPORT_MS = 1_000;

/** What a retransmitted IKE_SA_INIT is recognised by. */
export function halfOpenKey(remote: UdpEndpoint, spiI: bigint): string {
  return `${remote.address}|${remote.port}|${spiI}`;
}

/** RFC 7296 §2.6: from the threshold on only an initiator that can receive at its address gets further; at the limit none does. */
export function passesFloodControl(turn: Turn, message: Message, nonceI: Uint8Array, local: UdpEndpoint, remote: UdpEndpoint): boolean {
  const { options, cookies, halfOpen } = turn.engine;
  if (halfOpen.size < Math.min(options.cookieThreshold, options.halfOpenLimit)) return true;
  const facts = { spiI: message.header.spiI, nonceI, remote };
  const returned = findNotify(message.payloads, NotifyType.COOKIE);
  if (returned === null || !cookies.isValid(returned.data, facts, turn.now)) {
    const isTold = reportFlood(turn, cookieAsked(halfOpen.size, options.cookieThreshold, remote.address));
    answerInClear(turn, message.header, local, remote, null, [notify(NotifyType.COOKIE, cookies.bake(facts, turn.now))], isTold);
    return false;
  }
  if (halfOpen.size < options.halfOpenLimit) return true;
  reportFlood(turn, halfOpenLimit(halfOpen.size, options.halfOpenLimit, remote.address));
  return false;
}

/** Once in a while, and says whether it was now: a flood must neither fill the trace nor cost its making. */
function reportFlood(turn: Turn, finding: Failure): boolean {
  if (turn.now - turn.engine.floodReportedAt < FLOOD_REPORT_MS) return false;
  turn.engine.floodReportedAt = turn.now;
  traceFinding(turn, null, "IKE_SA_INIT", finding);
  return true;
}

/** No link is between these addresses, or one that was taken down. */
export function refuseStranger(turn: Turn, request: Header, local: UdpEndpoint, remote: UdpEndpoint): void {
  if (turn.now - turn.engine.strangerReportedAt < STRANGER_PAUSE_MS) return;
  turn.engine.strangerReportedAt = turn.now;
  const down = turn.engine.links.downBetween(local.address, remote.address);
  const failure = (down.length > 0 ? linkIsDown : noLinkBetween)(local.address, remote.address);
  recordFailure(turn, null, "IKE_SA_INIT", failure);
  // In the link's own trace as well, for who looks at both ends; nothing has failed at this one.
  if (down.length === 1) traceFinding(turn, down[0]!.config.id, "IKE_SA_INIT", failure);
  answerInClear(turn, request, local, remote, null, [notify(NotifyType.NO_PROPOSAL_CHOSEN)]);
}

/** Anyone can send a request that nobody understands: it is answered, and told of once a second. */
export function refuseCritical(
  turn: Turn,
  links: Candidates,
  { header }: Message,
  datagram: Uint8Array,
  error: IkeProtocolError,
  local: UdpEndpoint,
  remote: UdpEndpoint,
): void {
  const linkId = links.only?.config.id ?? null;
  if (turn.now - turn.engine.strangerReportedAt >= STRANGER_PAUSE_MS) {
    turn.engine.strangerReportedAt = turn.now;
    traceMessage(turn, linkId, "received", header, plainOf(datagram));
    recordFailure(turn, linkId, "IKE_SA_INIT", brokenByPeer("IKE_SA_INIT", error));
  }
  answerInClear(turn, header, local, remote, linkId, [notify(error.cause, error.data)]);
}

/** IKE_SA_INIT is not encrypted: its payloads follow the header. */
export function plainOf(datagram: Uint8Array): PlainOctets {
  return { firstPayload: parseHeader(datagram).firstPayload, bytes: datagram.subarray(HEADER_LENGTH) };
}
