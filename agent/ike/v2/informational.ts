import type { SaProtocol } from "../../ipsec/security-association.ts";
import { ExchangeType, NotifyType, ProtocolId } from "../../wire/iana.ts";
import { serializePayloads } from "../../wire/ikev2/message.ts";
import type { Payload } from "../../wire/ikev2/message-types.ts";
import { readU32 } from "../../wire/octets.ts";
import { dropChild, liveChildren, retireOutbound } from "../child-sa.ts";
import { recordFailure } from "../diagnosis/failure.ts";
import { authenticationRefused } from "../diagnosis/identities.ts";
import { noteEarlyChildDelete } from "../diagnosis/lifetime.ts";
import { refusedByNotify } from "../diagnosis/refusal.ts";
import { childrenOf, establishedPhase, type IkeSa, type Link, type Notify } from "../ike-sa.ts";
import { pauseFurther } from "../further-children.ts";
import { noteClosed } from "../inactivity.ts";
import { isKnownToPeer } from "../known-to-peer.ts";
import { findError, headerOf, sendRequest, transmit } from "../messaging.ts";
import { protocolIdOf } from "../negotiation/choose-proposal.ts";
import { removeIkeSa } from "../sa-removal.ts";
import { sealMessage } from "../session.ts";
import { type ActiveTask, queueDeleteIke } from "../task.ts";
import { hex32, traceChoice, traceMessage } from "../trace.ts";
import { sendOver } from "../traffic-policy.ts";
import { ikeSaById, type Turn } from "../turn.ts";
import { spiOctets } from "./child-negotiation.ts";
import { inherit } from "./rekey-ike.ts";
import { retryAfterRefusal } from "./retry.ts";

/* INFORMATIONAL (RFC 7296 §1.4): DELETE of an IKE or Child SA, liveness, notifies. */

/** The empty request that only a living peer answers. */
export function beginLiveness(turn: Turn, sa: IkeSa, thenDelete: string | null): void {
  sendRequest(turn, sa, ExchangeType.INFORMATIONAL, [], { kind: "liveness", thenDelete });
}

/** The peer lives, hence has this SA: a duplicate that waited for that can go, its traffic moves here first. */
export function finishLiveness(turn: Turn, sa: IkeSa, link: Link | null, thenDelete: string | null): void {
  const duplicate = thenDelete === null ? null : ikeSaById(turn, thenDelete);
  if (duplicate === null || link === null) return;
  for (const child of childrenOf(sa).values()) {
    const { state } = child;
    const isReady = isKnownToPeer(sa, child);
    // One that the peer has just asked to replace is good until it has the answer.
    const isReplaced = state.kind === "rekeyed" && state.abandonAt !== null;
    if (isReady && (state.kind === "established" || isReplaced)) sendOver(turn, link, child);
  }
  const names = new Set([...childrenOf(sa).values()].filter((child) => isKnownToPeer(sa, child)).map((child) => child.name));
  const isWhole = [...childrenOf(duplicate).values()].every((child) => names.has(child.name));
  if (isWhole) queueDeleteIke(duplicate);
  // As with any replacement, it goes when this one carries all that it carries.
  else sa.replaces ??= duplicate.id;
}

/** Takes the child out of use for sending and tells the peer our inbound SPI; the inbound SA waits for the answer. */
export function beginDeleteChild(turn: Turn, sa: IkeSa, link: Link | null, childSaId: string): void {
  const child = childrenOf(sa).get(childSaId);
  if (child === undefined) return;
  retireOutbound(turn, link, child);
  child.state = { kind: "deleting" };
  child.rekeyAt = null;
  const payload: Payload = { kind: "delete", protocolId: protocolIdOf(child.inbound.protocol), spis: [spiOctets(child.inbound.spi)] };
  sendRequest(turn, sa, ExchangeType.INFORMATIONAL, [payload], { kind: "deleteChild", childSaId });
}

export function finishDeleteChild(turn: Turn, sa: IkeSa, link: Link | null, childSaId: string): void {
  const child = childrenOf(sa).get(childSaId);
  if (child !== undefined) dropChild(turn, sa, link, child);
}

/** The children stop sending; their inbound SAs stay until the peer has answered, for it sends until it has read this. */
export function beginDeleteIke(turn: Turn, sa: IkeSa, link: Link | null): void {
  const established = establishedPhase(sa);
  if (established === null) return;
  for (const child of established.children.values()) retireOutbound(turn, link, child);
  sa.phase = { kind: "deleting", session: established.session, established };
  sendRequest(turn, sa, ExchangeType.INFORMATIONAL, [DELETE_IKE], { kind: "deleteIke" });
}

/**
 * One DELETE that nothing waits for: when the window is taken, when the peer has not proved itself, or at the end of the process. Then all
 * of the SA is forgotten. A peer takes it for established from its answer to IKE_AUTH on.
 */
export function deleteIkeUnheard(turn: Turn, sa: IkeSa): void {
  const { phase } = sa;
  if (phase.kind === "established" || phase.kind === "authSent") {
    const header = headerOf(sa, ExchangeType.INFORMATIONAL, sa.window.nextSend, false);
    const plain = serializePayloads([DELETE_IKE]);
    traceMessage(turn, sa.linkId, "sent", header, plain);
    transmit(turn, sa, sealMessage(phase.session, sa.role, header, plain));
  }
  removeIkeSa(turn, sa);
}

/** Responder; the answer, and whether the peer has ended the IKE SA. */
export function answerInformational(
  turn: Turn,
  sa: IkeSa,
  link: Link | null,
  payloads: readonly Payload[],
): { readonly payloads: Payload[]; readonly isEnd: boolean } {
  const error = findError(payloads);
  if (error !== null) return onErrorNotify(turn, sa, link, error);
  const deletes = payloads.filter((payload) => payload.kind === "delete");
  if (deletes.some((one) => one.protocolId === ProtocolId.IKE)) {
    beforeEnd(turn, sa, sa.window.outstanding?.task);
    return { payloads: [], isEnd: true };
  }
  const answer: Payload[] = [];
  for (const protocol of ["esp", "ah"] as const) {
    const protocolId = protocolIdOf(protocol);
    const named = deletes.filter((one) => one.protocolId === protocolId).flatMap((one) => one.spis);
    const spis = named.flatMap((spi) => deleteByPeer(turn, sa, link, protocol, spi));
    if (spis.length > 0) answer.push({ kind: "delete", protocolId, spis });
  }
  return { payloads: answer, isEnd: false };
}

/** Only the initiator of IKE_AUTH reports errors this way: it did not accept our proof (RFC 7296 §2.21.2). */
function onErrorNotify(turn: Turn, sa: IkeSa, link: Link | null, error: Notify): { readonly payloads: Payload[]; readonly isEnd: boolean } {
  const isRefusal = error.type === NotifyType.AUTHENTICATION_FAILED;
  // RFC 7296 §2.21.2: these two end the IKE SA without a DELETE.
  const isEnd = isRefusal || error.type === NotifyType.INVALID_SYNTAX;
  const { credentialId } = establishedPhase(sa) ?? { credentialId: null };
  recordFailure(
    turn,
    sa.linkId,
    "INFORMATIONAL",
    isRefusal && link !== null && credentialId !== null
      ? authenticationRefused(link.config, credentialId, turn.wallNow)
      : refusedByNotify("last message", error),
  );
  return { payloads: [], isEnd };
}

/** The IKE SA ends by the peer's doing, with this request of ours under way: a rekey of it has lost, and the children follow the peer's successor. */
export function beforeEnd(turn: Turn, sa: IkeSa, task: ActiveTask | undefined): void {
  const phase = establishedPhase(sa);
  if (phase !== null && task?.kind === "rekeyIke" && task.rival !== null && task.rival.sa !== null) inherit(turn, sa, phase, task.rival.sa);
}

/** Our half of the pair goes, its SPI goes into the answer; not when our own DELETE of it crosses (RFC 7296 §1.4.1). */
function deleteByPeer(turn: Turn, sa: IkeSa, link: Link | null, protocol: SaProtocol, spi: Uint8Array): Uint8Array[] {
  const wanted = readU32(spi, 0);
  const child = [...childrenOf(sa).values()].find((one) => one.outboundSpi === wanted && one.inbound.protocol === protocol);
  const task = sa.window.outstanding?.task;
  if (child === undefined) {
    if (task?.kind === "createChild" || task?.kind === "rekeyChild") task.child.deletedMeanwhile.push(wanted);
    traceChoice(turn, sa.linkId, "INFORMATIONAL", `The peer deletes a Child SA that is not here (${hex32(wanted)}).`);
    return [];
  }
  if (task?.kind === "deleteChild" && task.childSaId === child.id) {
    retireOutbound(turn, link, child);
    return [];
  }
  if (link !== null) {
    const isOneOfSeveral = child.isShared && liveChildren(turn, link.config.id, child.name).length > 1;
    // Of several any may be deleted by either end (RFC 9611): the others carry the traffic.
    if (!isOneOfSeveral) noteEarlyChildDelete(turn, link, child);
    if (child.state.kind === "established" && !isOneOfSeveral) noteClosed(link, child.name);
    if (child.isShared) pauseFurther(link, child.name, retryAfterRefusal(turn));
  }
  dropChild(turn, sa, link, child);
  return [spiOctets(child.inbound.spi)];
}

const DELETE_IKE: Payload = { kind: "delete", protocolId: ProtocolId.IKE, spis: [] };
