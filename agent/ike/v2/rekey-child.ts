import { ExchangeType, NotifyType } from "../../wire/iana.ts";
import type { Payload } from "../../wire/ikev2/message-types.ts";
import { readU16, readU32 } from "../../wire/octets.ts";
import type { AgreedChild } from "../agreement.ts";
import { type ChildSa, dropChild } from "../child-sa.ts";
import { recordFailure } from "../diagnosis/failure.ts";
import { type EstablishedPhase, establishedPhase, type IkeSa, type Link, type Notify } from "../ike-sa.ts";
import { findError, notify, sendRequest } from "../messaging.ts";
import { protocolIdOf } from "../negotiation/choose-proposal.ts";
import type { ActiveTask, ChildRival } from "../task.ts";
import { hex32, traceChoice } from "../trace.ts";
import { placeOf } from "../traffic-policy.ts";
import { emitEvent, type Turn } from "../turn.ts";
import {
  answerChild,
  childRequestPayloads,
  isDeletedMeanwhile,
  installChild,
  readChildAnswer,
  refuseChild,
  requestChild,
  spiOctets,
} from "./child-negotiation.ts";
import { compareNonces, lowerNonce } from "./exchange-values.ts";
import { childRefusal } from "../diagnosis/child-refusal.ts";
import { refusesMode } from "./child-mode.ts";
import { awaitFollowUp, followUp, forget } from "./follow-up-ke.ts";
import { retryAfterRefusal, temporaryRetryAt } from "./retry.ts";

/*
 * Rekeying a Child SA (RFC 7296 §1.3.3, §2.8):
 *   N(REKEY_SA), SA, Ni, [KEi,] TSi, TSr  -->  <--  SA, Nr, [KEr,] TSi, TSr      then      D(old)  -->  <--  D(old)
 * Initiator: both new SAs, policy to the new outbound, then DELETE of the old. Responder: both new SAs, the policy moves with the
 * peer's first packet or its DELETE. Old inbound SAs outlive the DELETE for packets in flight.
 */

/** How long the side that rekeyed has to delete the old SA before we do it. */
const ABANDON_MS = 60_000;

export function beginRekeyChild(turn: Turn, sa: IkeSa, link: Link, childSaId: string, kexMethod: number | null): void {
  const old = establishedPhase(sa)?.children.get(childSaId);
  if (old === undefined || old.state.kind !== "established") return;
  const pending = establishedPhase(sa)?.pending.find(({ purpose }) => purpose.kind === "rekeyChild" && purpose.childSaId === childSaId);
  if (pending !== undefined) {
    // The peer has begun it already; should it not go on, it is our turn.
    old.rekeyAt = pending.forgetAt;
    return;
  }
  // The configured selectors, not the narrowed ones: a rekey must not narrow further (RFC 7296 §2.9.2).
  const config = link.config.children.find((child) => child.name === old.name) ?? {
    name: old.name,
    localSelectors: old.inbound.localSelectors,
    remoteSelectors: old.inbound.remoteSelectors,
    ...(old.config.mode === undefined ? {} : { mode: old.config.mode }),
  };
  const child = requestChild(turn, sa, link, config, kexMethod, {
    resource: placeOf(link.policies.get(old.name), old.id) ?? 0,
    replaces: old,
  });
  const rekeySa = notify(NotifyType.REKEY_SA, undefined, { protocolId: protocolIdOf(old.inbound.protocol), spi: spiOctets(old.inbound.spi) });
  traceChoice(
    turn,
    link.config.id,
    "CREATE_CHILD_SA",
    `Child SA ${old.name} (in ${hex32(old.inbound.spi)}) is being rekeyed${kexMethod === null ? " without" : " with"} a key exchange of its own.`,
  );
  sendRequest(turn, sa, ExchangeType.CREATE_CHILD_SA, [rekeySa, ...childRequestPayloads(child, "create")], {
    kind: "rekeyChild",
    childSaId,
    child,
    rival: null,
    followUp: null,
  });
}

export function finishRekeyChild(turn: Turn, sa: IkeSa, link: Link, task: Extract<ActiveTask, { kind: "rekeyChild" }>, payloads: readonly Payload[]): void {
  const phase = establishedPhase(sa);
  if (phase === null) return;
  const error = findError(payloads);
  if (error !== null) return onRefused(turn, sa, link, phase, task, error);
  const old = phase.children.get(task.childSaId);
  const agreed = task.followUp?.agreed ?? readChildAnswer(sa, link, task.child, payloads, null);
  if (task.followUp === null && refusesMode(turn, link, agreed, "CREATE_CHILD_SA")) {
    if (old !== undefined) old.rekeyAt = retryAfterRefusal(turn);
    return refuseChild(turn, sa, link, agreed);
  }
  const rival = standingRival(phase, task);
  if (rival !== null && task.followUp === null) {
    if (compareNonces(lowerNonce(agreed.nonceI, agreed.nonceR), rival.lowestNonce) < 0) return concede(turn, sa, link, agreed);
    traceChoice(
      turn,
      link.config.id,
      "CREATE_CHILD_SA",
      "Both ends rekeyed at once; the peer's has the lowest nonce and is the peer's to close (RFC 7296 §2.8.1).",
    );
    if (rival.pending !== null) forget(phase, rival.pending);
  }
  const secrets = followUp(turn, sa, agreed, task.followUp, payloads, (next) => ({ ...task, followUp: next }));
  if (secrets === null) return;
  if (isDeletedMeanwhile(task.child, agreed)) {
    // The old one goes on at the peer, too: it has not been asked to delete that one yet.
    if (old !== undefined) old.rekeyAt = retryAfterRefusal(turn);
    return;
  }
  const successor = installChild(turn, sa, link, agreed, secrets, "initiator", "now", old);
  const redundant = rival?.childSaId == null ? undefined : phase.children.get(rival.childSaId);
  if (redundant !== undefined) redundant.state = { kind: "rekeyed", successorId: successor.id, abandonAt: turn.now + ABANDON_MS };
  if (old !== undefined) replaceChild(turn, sa, link, old, successor);
  else emitEvent(turn, { kind: "childSaEstablished", linkId: link.config.id, childSaId: successor.id });
}

/** The peer's rekey of the same Child SA, unless nothing has come of it. */
function standingRival(phase: EstablishedPhase, { rival }: Extract<ActiveTask, { kind: "rekeyChild" }>): ChildRival | null {
  if (rival === null) return null;
  const stands = rival.childSaId !== null ? phase.children.has(rival.childSaId) : rival.pending !== null && phase.pending.includes(rival.pending);
  return stands ? rival : null;
}

/** Ours is redundant. */
function concede(turn: Turn, sa: IkeSa, link: Link, agreed: AgreedChild): void {
  traceChoice(turn, link.config.id, "CREATE_CHILD_SA", "Both ends rekeyed at once; ours has the lowest nonce and is closed (RFC 7296 §2.8.1).");
  refuseChild(turn, sa, link, agreed);
}

/** Responder; the answer. */
export function answerRekeyChild(turn: Turn, sa: IkeSa, link: Link, rekeySa: Notify, payloads: readonly Payload[]): Payload[] {
  const phase = establishedPhase(sa);
  const spi = rekeySa.spi.length === 4 ? readU32(rekeySa.spi, 0) : 0;
  // The SPI is the one that the peer expects packets on: our outbound (RFC 7296 §1.3.3).
  const old = [...(phase?.children.values() ?? [])].find((child) => child.outboundSpi === spi);
  const own = sa.window.outstanding?.task;
  // The peer may mean the Child SA that its answer to our request, still on its way, is about.
  if (old === undefined && (own?.kind === "createChild" || own?.kind === "rekeyChild")) return [notify(NotifyType.TEMPORARY_FAILURE)];
  if (phase === null || old === undefined || rekeySa.protocolId !== protocolIdOf(old.inbound.protocol)) {
    traceChoice(turn, link.config.id, "CREATE_CHILD_SA", `The peer wants to rekey a Child SA that is not here (${hex32(spi)}).`);
    return [notify(NotifyType.CHILD_SA_NOT_FOUND, undefined, { protocolId: rekeySa.protocolId, spi: rekeySa.spi.slice() })];
  }
  // RFC 7296 §2.25.1: it is being closed, or has a successor already.
  if (old.state.kind !== "established") return [notify(NotifyType.TEMPORARY_FAILURE)];
  const ownRekey = own?.kind === "rekeyChild" && own.childSaId === old.id ? own : null;
  // Ours is agreed on and in its additional key exchanges: the peer's request is late, and no collision any more.
  if (ownRekey !== null && ownRekey.followUp !== null) return [notify(NotifyType.TEMPORARY_FAILURE)];
  const answer = answerChild(turn, sa, link, payloads, null, old);
  if (!answer.ok) {
    if (answer.failure !== null) recordFailure(turn, link.config.id, "CREATE_CHILD_SA", answer.failure);
    return answer.payloads;
  }
  const { agreed } = answer;
  if (agreed.suite.additional.length === 0) {
    succeedChild(turn, sa, link, old, agreed, []);
    return answer.payloads;
  }
  const { pending, link: notification } = awaitFollowUp(turn, phase, { kind: "rekeyChild", childSaId: old.id, agreed });
  if (ownRekey !== null) ownRekey.rival = { childSaId: null, pending, lowestNonce: lowerNonce(agreed.nonceI, agreed.nonceR) };
  return [...answer.payloads, notification];
}

/** Responder: the successor takes over with the peer's first packet; the peer deletes the old one. */
export function succeedChild(turn: Turn, sa: IkeSa, link: Link, old: ChildSa, agreed: AgreedChild, secrets: readonly Uint8Array[]): void {
  const child = installChild(turn, sa, link, agreed, secrets, "responder", "whenPeerDoes", old);
  old.state = { kind: "rekeyed", successorId: child.id, abandonAt: turn.now + ABANDON_MS };
  old.rekeyAt = null;
  const own = sa.window.outstanding?.task;
  const lowestNonce = lowerNonce(agreed.nonceI, agreed.nonceR);
  if (own?.kind === "rekeyChild" && own.childSaId === old.id) own.rival = { childSaId: child.id, pending: null, lowestNonce };
  emitEvent(turn, { kind: "childSaRekeyed", linkId: link.config.id, childSaId: child.id });
}

function replaceChild(turn: Turn, sa: IkeSa, link: Link, old: ChildSa, successor: ChildSa): void {
  old.state = { kind: "rekeyed", successorId: successor.id, abandonAt: null };
  old.rekeyAt = null;
  sa.window.queue.push({ kind: "deleteChild", childSaId: old.id });
  emitEvent(turn, { kind: "childSaRekeyed", linkId: link.config.id, childSaId: successor.id });
}

function onRefused(turn: Turn, sa: IkeSa, link: Link, phase: EstablishedPhase, task: Extract<ActiveTask, { kind: "rekeyChild" }>, error: Notify): void {
  const old = phase.children.get(task.childSaId);
  // The peer has rekeyed or deleted it meanwhile: nothing is left to do.
  if (old === undefined || old.state.kind !== "established") return;
  switch (error.type) {
    case NotifyType.INVALID_KE_PAYLOAD: {
      const method = error.data.length === 2 ? readU16(error.data, 0) : 0;
      const isNew = task.child.kex?.method !== method && link.esp.some((spec) => spec.kex.some((one) => one === method));
      if (isNew) return beginRekeyChild(turn, sa, link, task.childSaId, method);
      break;
    }
    case NotifyType.TEMPORARY_FAILURE:
      old.rekeyAt = temporaryRetryAt(turn);
      traceChoice(turn, link.config.id, "CREATE_CHILD_SA", "The peer is busy with another exchange; the rekey is tried again in a moment.");
      return;
    case NotifyType.STATE_NOT_FOUND:
      // RFC 9370 §2.2.4: the peer has given the half-made SA up; it is begun anew.
      old.rekeyAt = temporaryRetryAt(turn);
      traceChoice(turn, link.config.id, "IKE_FOLLOWUP_KE", "The peer has given up the rekey before its last key exchange; it is begun anew in a moment.");
      return;
    case NotifyType.CHILD_SA_NOT_FOUND:
      // RFC 7296 §2.25.1: the peer has no such SA, so ours is of no use.
      traceChoice(turn, link.config.id, "CREATE_CHILD_SA", "The peer does not have this Child SA any more; it is removed.");
      return dropChild(turn, sa, link, old);
    default:
      break;
  }
  old.rekeyAt = retryAfterRefusal(turn);
  const failure = childRefusal(task.child, error, "CREATE_CHILD_SA", true);
  const sentence = `The Child SA "${old.name}" could not be rekeyed. ${failure.sentence}`;
  recordFailure(turn, link.config.id, "CREATE_CHILD_SA", { ...failure, sentence });
}
