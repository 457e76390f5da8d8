import { retireOutbound } from "./child-sa.ts";
import { isRekeyPending } from "./v2/follow-up-ke.ts";
import { ExchangeType, nameOf, NotifyType } from "../wire/iana.ts";
import type { Payload } from "../wire/ikev2/message-types.ts";
import { recordFailure } from "./diagnosis/failure.ts";
import { refusedByNotify } from "./diagnosis/refusal.ts";
import { silenceFailure } from "./diagnosis/silence.ts";
import { childrenOf, establishedPhase, type IkeSa, isEnding, type Link, type Outstanding, rekeyedInto } from "./ike-sa.ts";
import { beginAgainLater, loseTouch } from "./link.ts";
import { findNotify, transmit } from "./messaging.ts";
import { removeIkeSa } from "./sa-removal.ts";
import type { Task } from "./task.ts";
import { traceChoice } from "./trace.ts";
import { ikeSasOf, linkById, type Turn } from "./turn.ts";
import { pfsMethod } from "./v2/child-negotiation.ts";
import { beginCreateChild, finishCreateChild } from "./v2/create-child-sa.ts";
import { onAuthResponse } from "./v2/ike-auth.ts";
import { onIntermediateResponse } from "./v2/ike-intermediate.ts";
import { beforeEnd, beginDeleteChild, beginDeleteIke, beginLiveness, deleteIkeUnheard, finishDeleteChild, finishLiveness } from "./v2/informational.ts";
import { beginPathProbe, failPathProbe, finishPathProbe } from "./v2/path-probe.ts";
import { beginRekeyChild, finishRekeyChild } from "./v2/rekey-child.ts";
import { beginRekeyIke, finishRekeyIke } from "./v2/rekey-ike.ts";

/* Our requests on an IKE SA: from the queue into the window, retransmitted, and out of it with the answer (RFC 7296 §2.1–2.4). */

/** Sends the next waiting request if the window is free. A task that has become pointless is passed over. Says whether any was taken. */
export function startNextRequest(turn: Turn, sa: IkeSa): boolean {
  const { window } = sa;
  let hasBegun = false;
  while (window.outstanding === null && establishedPhase(sa) !== null) {
    const task = window.queue[0];
    if (task === undefined || mustWait(turn, sa, task)) break;
    window.queue.shift();
    begin(turn, sa, linkOf(turn, sa), task);
    hasBegun = true;
  }
  return hasBegun;
}

/** While the peer is about to replace the IKE SA, only what needs no children goes ahead. */
function mustWait(turn: Turn, sa: IkeSa, task: Task): boolean {
  if (task.kind === "deleteIke" && isPredecessorEnding(turn, sa)) return true;
  const phase = establishedPhase(sa);
  return phase !== null && isRekeyPending(phase) && task.kind !== "deleteIke" && task.kind !== "liveness" && task.kind !== "pathProbe";
}

/**
 * The peer may have rekeyed the same IKE SA and not know yet which of the two stays: then the Child SAs are still on the old one there, and
 * only with its DELETE do they come to the new one, to be closed with it (RFC 7296 §2.8.2).
 */
function isPredecessorEnding(turn: Turn, sa: IkeSa): boolean {
  const others = sa.linkId === null ? [] : ikeSasOf(turn, sa.linkId);
  return others.some((other) => isEnding(other) && rekeyedInto(other) === sa);
}

/** The authenticated answer to the outstanding request, and its plain form. The window is free again before it is looked at. */
export function finishRequest(turn: Turn, sa: IkeSa, payloads: readonly Payload[], plain: () => Uint8Array): void {
  const { outstanding } = sa.window;
  if (outstanding === null) return;
  sa.window.outstanding = null;
  const { task } = outstanding;
  const link = linkOf(turn, sa);
  if (establishedPhase(sa) !== null && findNotify(payloads, NotifyType.INVALID_SYNTAX) !== null) return endUnreadable(turn, sa, link, outstanding);
  switch (task.kind) {
    case "ikeSaInit":
      throw new TypeError("IKE_SA_INIT is answered in the clear.");
    case "deleteIke":
      return removeIkeSa(turn, sa);
    case "deleteChild":
      return finishDeleteChild(turn, sa, link, task.childSaId);
    case "liveness":
      return finishLiveness(turn, sa, link, task.thenDelete);
    case "pathProbe":
      return finishPathProbe(turn, sa, task);
    default:
      break;
  }
  // Without a link nothing is made.
  if (link === null) return;
  switch (task.kind) {
    case "ikeIntermediate":
      return onIntermediateResponse(turn, sa, link, task, payloads, plain());
    case "ikeAuth":
      return onAuthResponse(turn, sa, link, task, payloads);
    case "createChild":
      return finishCreateChild(turn, sa, link, task, payloads);
    case "rekeyChild":
      return finishRekeyChild(turn, sa, link, task, payloads);
    case "rekeyIke":
      return finishRekeyIke(turn, sa, link, task, payloads);
    default:
      return assertNever(task);
  }
}

/**
 * The peer could not read our request, which ends the IKE SA at both ends (RFC 7296 §2.21.3). It hears so once: there are peers that
 * answer this way and go on.
 */
function endUnreadable(turn: Turn, sa: IkeSa, link: Link | null, { exchangeType, task }: Outstanding): void {
  const error = { type: NotifyType.INVALID_SYNTAX, data: new Uint8Array(0) };
  recordFailure(turn, sa.linkId, "RESPONSE", refusedByNotify(nameOf(ExchangeType, exchangeType), error));
  beforeEnd(turn, sa, task);
  beginAgainLater(turn, sa, link);
  for (const child of childrenOf(sa).values()) retireOutbound(turn, link, child);
  deleteIkeUnheard(turn, sa);
}

/** Sends the outstanding request again, octet for octet, or gives the peer up. */
export function retransmitOrGiveUp(turn: Turn, sa: IkeSa): void {
  const { outstanding } = sa.window;
  if (outstanding === null || outstanding.nextAt > turn.now) return;
  const { options } = turn.engine;
  if (outstanding.task.kind === "pathProbe" && !outstanding.task.hasFailed) {
    outstanding.task.hasFailed = true;
    failPathProbe(turn, sa, outstanding.task);
  }
  if (outstanding.sends <= options.retransmitTries) {
    transmit(turn, sa, outstanding.datagrams);
    outstanding.nextAt = turn.now + options.retransmitFirstMs * options.retransmitFactor ** outstanding.sends;
    outstanding.sends += 1;
    traceChoice(
      turn,
      sa.linkId,
      "RETRANSMIT",
      `No answer yet: request ${outstanding.messageId} is sent again (${outstanding.sends - 1} of ${options.retransmitTries}).`,
    );
    return;
  }
  giveUp(turn, sa, outstanding);
}

/** The peer has not answered at all. What it has rekeyed the IKE SA into, by a rekey that crossed ours, is another: that one goes on with the children. */
function giveUp(turn: Turn, sa: IkeSa, outstanding: Outstanding): void {
  const { task } = outstanding;
  const isDelete = task.kind === "deleteIke";
  const isEnd = isDelete || isEnding(sa);
  const link = linkById(turn, sa.linkId);
  beforeEnd(turn, sa, task);
  const isReplaced = !isDelete && rekeyedInto(sa) !== null;
  if (link !== null && task.kind === "pathProbe") link.isProbed = false;
  if (link !== null && establishedPhase(sa) !== null && !isEnd && !isReplaced) loseTouch(turn, link);
  if (isReplaced) traceChoice(turn, sa.linkId, "RETRANSMIT", "The peer has not answered; the IKE SA that it has rekeyed meanwhile is forgotten.");
  else if (isEnd) traceChoice(turn, sa.linkId, "RETRANSMIT", "The peer has not answered; the IKE SA that was to be deleted is forgotten.");
  else recordFailure(turn, sa.linkId, "RETRANSMIT", outstanding.hint ?? silenceFailure(sa, outstanding, turn.engine.options.retransmitTries));
  // The DELETE that waited for the answer was never sent. A peer whose answers alone got lost hears it.
  if (!isDelete && isEnding(sa)) deleteIkeUnheard(turn, sa);
  else removeIkeSa(turn, sa);
}

function begin(turn: Turn, sa: IkeSa, link: Link | null, task: Task): void {
  switch (task.kind) {
    case "deleteIke":
      return beginDeleteIke(turn, sa, link);
    case "deleteChild":
      return beginDeleteChild(turn, sa, link, task.childSaId);
    case "liveness":
      return beginLiveness(turn, sa, task.thenDelete);
    case "pathProbe":
      return beginPathProbe(turn, sa);
    default:
      break;
  }
  if (link === null) return;
  switch (task.kind) {
    case "createChild":
      return beginCreateChild(turn, sa, link, task.childName);
    case "rekeyChild":
      return beginRekeyChild(turn, sa, link, task.childSaId, pfsMethod(link));
    case "rekeyIke":
      return beginRekeyIke(turn, sa, link, null);
    default:
      return assertNever(task);
  }
}

function linkOf(turn: Turn, sa: IkeSa): Link | null {
  if (sa.linkId === null) return null;
  return linkById(turn, sa.linkId) ?? turn.engine.leaving.get(sa.linkId) ?? null;
}

function assertNever(value: never): never {
  throw new TypeError(`Unreachable: ${JSON.stringify(value)}`);
}
