import { dropChild } from "./child-sa.ts";
import { childrenOf, type IkeSa, type InitAnsweredPhase, sessionOf, rekeyedInto } from "./ike-sa.ts";
import { unregisterIkeSa } from "./messaging.ts";
import { zeroizeSession } from "./session.ts";
import { emitEvent, ikeSaById, linkById, type Turn } from "./turn.ts";

/** How long a deleted SA still answers retransmissions of the request that ended it. */
const ANSWER_AGAIN_MS = 30_000;

/** Forgets an IKE SA and its children at once, keys zeroed. `atOnce`: without waiting for packets in flight. */
export function removeIkeSa(turn: Turn, sa: IkeSa, atOnce = false): void {
  forgetChildren(turn, sa, atOnce);
  const wasEstablished = sa.phase.kind === "established" || sa.phase.kind === "deleting";
  if (sa.phase.kind === "initAnswered") leaveHalfOpen(turn, sa.phase);
  const session = sessionOf(sa);
  touchSuccessor(turn, sa);
  unregisterIkeSa(turn, sa);
  if (sa.linkId !== null && turn.engine.ikeSas.ofLink(sa.linkId).length === 0) turn.engine.leaving.delete(sa.linkId);
  if (session !== null) zeroizeSession(session);
  if (wasEstablished && sa.linkId !== null) emitEvent(turn, { kind: "ikeSaDeleted", linkId: sa.linkId, ikeSaId: sa.id });
}

/** The peer has deleted it, or was refused: nothing more is done with it but to repeat the last answer should that get lost. */
export function closeIkeSa(turn: Turn, sa: IkeSa): void {
  forgetChildren(turn, sa, false);
  const session = sessionOf(sa);
  if (session === null) return removeIkeSa(turn, sa);
  if (sa.phase.kind === "initAnswered") leaveHalfOpen(turn, sa.phase);
  if ((sa.phase.kind === "established" || sa.phase.kind === "deleting") && sa.linkId !== null) {
    emitEvent(turn, { kind: "ikeSaDeleted", linkId: sa.linkId, ikeSaId: sa.id });
  }
  touchSuccessor(turn, sa);
  sa.window.outstanding = null;
  sa.window.queue.length = 0;
  sa.phase = { kind: "closed", session, forgetAt: turn.now + ANSWER_AGAIN_MS };
}

/** If it is still there: its end may have waited for this one's. */
function touchSuccessor(turn: Turn, sa: IkeSa): void {
  const successor = rekeyedInto(sa);
  if (successor !== null) ikeSaById(turn, successor.id);
}

/** The responder's state between IKE_SA_INIT and IKE_AUTH is of no use any more. */
export function leaveHalfOpen(turn: Turn, phase: InitAnsweredPhase): void {
  turn.engine.halfOpen.delete(phase.cacheKey);
  if (phase.previous !== null) zeroizeSession(phase.previous);
}

function forgetChildren(turn: Turn, sa: IkeSa, atOnce: boolean): void {
  const link = linkById(turn, sa.linkId);
  for (const child of [...childrenOf(sa).values()]) dropChild(turn, sa, link, child, atOnce);
}
