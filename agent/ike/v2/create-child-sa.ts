import { ExchangeType, NotifyType } from "../../wire/iana.ts";
import type { Payload } from "../../wire/ikev2/message-types.ts";
import { readU16 } from "../../wire/octets.ts";
import type { AgreedChild } from "../agreement.ts";
import { recordFailure } from "../diagnosis/failure.ts";
import { establishedPhase, type IkeSa, isEnding, type Link } from "../ike-sa.ts";
import { endFurther, lacksFurther, onFurtherRefused, pauseFurther } from "../further-children.ts";
import { findError, findNotify, findPayload, notify, sendRequest } from "../messaging.ts";
import type { ActiveTask } from "../task.ts";
import { perResourceSas, sharedChildren } from "../traffic-policy.ts";
import { emitEvent, type Turn } from "../turn.ts";
import {
  answerChild,
  childRequestPayloads,
  isDeletedMeanwhile,
  installChild,
  pfsMethod,
  readChildAnswer,
  refuseChild,
  requestChild,
  requestFurther,
} from "./child-negotiation.ts";
import { childRefusal } from "../diagnosis/child-refusal.ts";
import { refusesMode } from "./child-mode.ts";
import { awaitFollowUp, followUp, isRekeyPending, takeFollowUp } from "./follow-up-ke.ts";
import { answerRekeyChild, succeedChild } from "./rekey-child.ts";
import { answerRekeyIke, succeedIke } from "./rekey-ike.ts";
import { retryAfterRefusal } from "./retry.ts";

/* CREATE_CHILD_SA (RFC 7296 §1.3) and the IKE_FOLLOWUP_KE after it: a new Child SA here; rekeying in rekey-child.ts and rekey-ike.ts. */

/** An authenticated peer is not trusted with all of our memory. */
const MOST_CHILDREN = 64;

export function beginCreateChild(turn: Turn, sa: IkeSa, link: Link, childName: string, kexMethod: number | null = pfsMethod(link)): void {
  const config = link.config.children.find((child) => child.name === childName);
  const phase = establishedPhase(sa);
  if (config === undefined || phase === null || phase.successor !== null) return;
  const [beside, ...others] = sharedChildren(phase, childName);
  // Another request has made the last one meanwhile.
  if (beside !== undefined && 1 + others.length > perResourceSas(link)) return;
  const child = beside === undefined ? requestChild(turn, sa, link, config, kexMethod) : requestFurther(turn, sa, link, [beside, ...others], kexMethod);
  sendRequest(turn, sa, ExchangeType.CREATE_CHILD_SA, childRequestPayloads(child, "create"), { kind: "createChild", child, followUp: null });
}

export function finishCreateChild(turn: Turn, sa: IkeSa, link: Link, task: Extract<ActiveTask, { kind: "createChild" }>, payloads: readonly Payload[]): void {
  const error = findError(payloads);
  const phase = establishedPhase(sa);
  if (phase === null) return;
  const beside = task.child.sharing.kind === "beside" ? task.child.sharing : null;
  if (error === null) {
    const agreed = task.followUp?.agreed ?? readChildAnswer(sa, link, task.child, payloads, null);
    if (task.followUp === null && refusesMode(turn, link, agreed, "CREATE_CHILD_SA")) return refuseChild(turn, sa, link, agreed);
    const secrets = followUp(turn, sa, agreed, task.followUp, payloads, (next) => ({ ...task, followUp: next }));
    if (secrets === null) return;
    if (isDeletedMeanwhile(task.child, agreed)) return pauseFurther(link, agreed.name, retryAfterRefusal(turn));
    if (beside !== null && !agreed.isShared) endFurther(turn, link, agreed.name, beside.count, "it leaves SA_RESOURCE_INFO out");
    const child = installChild(turn, sa, link, agreed, secrets, "initiator", "now");
    // So that the peer knows that we have the last one, too, and sends on it.
    if (beside !== null && !lacksFurther(link, phase, agreed.name)) sa.window.queue.push({ kind: "liveness", thenDelete: null });
    emitEvent(turn, { kind: "childSaEstablished", linkId: link.config.id, childSaId: child.id });
    return;
  }
  if (error.type === NotifyType.INVALID_KE_PAYLOAD && error.data.length === 2) {
    const method = readU16(error.data, 0);
    const isNew = task.child.kex?.method !== method && link.esp.some((spec) => spec.kex.some((one) => one === method));
    if (isNew) return beginCreateChild(turn, sa, link, task.child.childName, method);
  }
  if (beside !== null) return onFurtherRefused(turn, link, task.child.childName, beside.count, error);
  // The link's own retry asks again; for a collision, or a peer that has forgotten the half of it, no one needs to be told.
  if (error.type !== NotifyType.TEMPORARY_FAILURE && error.type !== NotifyType.STATE_NOT_FOUND)
    recordFailure(turn, link.config.id, "CREATE_CHILD_SA", childRefusal(task.child, error, "CREATE_CHILD_SA"));
}

/** Responder; the answer. What kind of request it is, its payloads say (RFC 7296 §1.3.1–1.3.3). */
export function answerCreateChildSa(turn: Turn, sa: IkeSa, link: Link | null, payloads: readonly Payload[]): Payload[] {
  const phase = establishedPhase(sa);
  // RFC 7296 §2.25.2: nothing is made on an IKE SA that is being closed.
  if (link === null || phase === null || isEnding(sa)) return [notify(NotifyType.TEMPORARY_FAILURE)];
  const rekeySa = findNotify(payloads, NotifyType.REKEY_SA);
  if (rekeySa === null && findPayload(payloads, "tsi") === null) return answerRekeyIke(turn, sa, link, payloads);
  // RFC 7296 §2.25.2: no children are made while the IKE SA itself is being replaced.
  if (phase.successor !== null || sa.window.outstanding?.task.kind === "rekeyIke" || isRekeyPending(phase)) return [notify(NotifyType.TEMPORARY_FAILURE)];
  if (rekeySa !== null) return answerRekeyChild(turn, sa, link, rekeySa, payloads);
  if (phase.children.size >= MOST_CHILDREN) return [notify(NotifyType.NO_ADDITIONAL_SAS)];
  const answer = answerChild(turn, sa, link, payloads, null, null);
  if (!answer.ok) {
    if (answer.failure !== null) recordFailure(turn, link.config.id, "CREATE_CHILD_SA", answer.failure);
    return answer.payloads;
  }
  const { agreed } = answer;
  if (agreed.suite.additional.length > 0) return [...answer.payloads, awaitFollowUp(turn, phase, { kind: "createChild", agreed }).link];
  addAnswered(turn, sa, link, agreed, []);
  return answer.payloads;
}

/** Responder; the answer to one IKE_FOLLOWUP_KE. With the last one what was agreed on comes to be (RFC 9370 §2.2.4). */
export function answerFollowUpKe(turn: Turn, sa: IkeSa, link: Link | null, payloads: readonly Payload[]): Payload[] {
  const phase = establishedPhase(sa);
  if (link === null || phase === null || phase.successor !== null || isEnding(sa)) return [notify(NotifyType.STATE_NOT_FOUND)];
  const taken = takeFollowUp(turn, sa, payloads);
  if (taken.complete === null) return taken.payloads;
  const { purpose, secrets } = taken.complete;
  switch (purpose.kind) {
    case "createChild":
      addAnswered(turn, sa, link, purpose.agreed, secrets);
      return taken.payloads;
    case "rekeyChild": {
      const old = phase.children.get(purpose.childSaId);
      // It has been deleted or replaced while the exchange was pending.
      if (old === undefined || old.state.kind !== "established") return [notify(NotifyType.STATE_NOT_FOUND)];
      succeedChild(turn, sa, link, old, purpose.agreed, secrets);
      return taken.payloads;
    }
    case "rekeyIke":
      succeedIke(turn, sa, link, phase, purpose.agreed, secrets);
      return taken.payloads;
    default:
      return assertNever(purpose);
  }
}

function addAnswered(turn: Turn, sa: IkeSa, link: Link, agreed: AgreedChild, secrets: readonly Uint8Array[]): void {
  const child = installChild(turn, sa, link, agreed, secrets, "responder", "whenPeerDoes");
  emitEvent(turn, { kind: "childSaEstablished", linkId: link.config.id, childSaId: child.id });
}

function assertNever(value: never): never {
  throw new TypeError(`Unreachable: ${JSON.stringify(value)}`);
}
