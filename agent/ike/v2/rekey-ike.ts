import { startKeyExchange } from "../../crypto/key-exchange.ts";
import { ExchangeType, NotifyType } from "../../wire/iana.ts";
import type { IkeSpi, Payload } from "../../wire/ikev2/message-types.ts";
import { IkeProtocolError, invalidSyntax } from "../../wire/ikev2/protocol-error.ts";
import { type PackedOctets, readU16, readU64, writeU64 } from "../../wire/octets.ts";
import type { AgreedIke } from "../agreement.ts";
import { hardDeadline, softDeadline } from "../child-sa.ts";
import { type Failure, recordFailure } from "../diagnosis/failure.ts";
import { groupRefused, noCommonProposal, proposalsRefused } from "../diagnosis/proposals.ts";
import { refusedByNotify } from "../diagnosis/refusal.ts";
import { newReassembly } from "../fragmentation.ts";
import { type EstablishedPhase, establishedPhase, type IkeSa, type Link, newWindow, type Notify, type Role } from "../ike-sa.ts";
import { findError, findPayload, invalidKe, notify, registerIkeSa, sendRequest } from "../messaging.ts";
import { type Choice, chooseIke, describeOffer, formatIkeSuite, type IkeSuite, offer } from "../negotiation/choose-proposal.ts";
import { deriveRekeyedIkeKeys } from "../negotiation/key-schedule.ts";
import type { ActiveTask, IkeRival } from "../task.ts";
import { hex64, traceChoice } from "../trace.ts";
import { emitEvent, ikeSasOf, newId, newIkeSpi, type Turn } from "../turn.ts";
import { answerExchange, compareNonces, lowerNonce, NONCE_OCTETS, peerSecret, requireNonce } from "./exchange-values.ts";
import { awaitFollowUp, followUp, forget } from "./follow-up-ke.ts";
import { retryAfterRefusal, temporaryRetryAt } from "./retry.ts";

/*
 * Rekeying the IKE SA (RFC 7296 §1.3.2, §2.8.2, §2.18):
 *   SA(new SPIi), Ni, KEi  -->  <--  SA(new SPIr), Nr, KEr      then, on the old SA,      D(IKE)  -->  <--
 * The new SA inherits the children. When both ends do it at once the children wait until the nonces have decided.
 */

/** How long the side that rekeyed has to delete the old SA before we do it. */
const ABANDON_MS = 60_000;

export function beginRekeyIke(turn: Turn, sa: IkeSa, link: Link, kexMethod: number | null): void {
  const phase = establishedPhase(sa);
  if (phase === null || phase.successor !== null) return;
  if (phase.abandonAt !== null || isUndecided(turn, sa)) {
    // A duplicate that is about to be closed, or one that a collision may close; should it stay after all, it is rekeyed then.
    phase.rekeyAt = temporaryRetryAt(turn);
    return;
  }
  const spi = newIkeSpi(turn);
  const nonce = turn.engine.random.bytes(NONCE_OCTETS);
  // The group in use is the one that the peer is known to take.
  const kex = startKeyExchange(kexMethod ?? phase.session.suite.kex);
  const offered = offer(link.ike, spiOctets(spi), true);
  const payloads: Payload[] = [
    { kind: "sa", proposals: offered },
    { kind: "nonce", data: nonce },
    { kind: "ke", method: kex.method, data: kex.publicData },
  ];
  sendRequest(turn, sa, ExchangeType.CREATE_CHILD_SA, payloads, { kind: "rekeyIke", spi, nonce, kex, offered, rival: null, followUp: null });
}

export function finishRekeyIke(turn: Turn, sa: IkeSa, link: Link, task: Extract<ActiveTask, { kind: "rekeyIke" }>, payloads: readonly Payload[]): void {
  const phase = establishedPhase(sa);
  if (phase === null) return;
  const error = findError(payloads);
  if (error !== null) return onRefused(turn, sa, link, phase, task, error);
  const agreed = task.followUp?.agreed ?? readAnswer(link, task, payloads);
  const rival = standingRival(phase, task);
  const isLoser = rival !== null && task.followUp === null && (phase.successor !== null || compareNonces(lowestOf(agreed), rival.lowestNonce) < 0);
  if (isLoser) return concede(turn, sa, link, phase, rival, agreed);
  if (rival?.pending != null) forget(phase, rival.pending);
  const secrets = followUp(turn, sa, agreed, task.followUp, payloads, (next) => ({ ...task, followUp: next }));
  if (secrets === null) return;
  const successor = successorOf(turn, sa, link, phase, "initiator", agreed, secrets);
  const theirs = rival === null || rival.sa === null ? null : establishedPhase(rival.sa);
  if (theirs !== null) theirs.abandonAt = turn.now + ABANDON_MS;
  inherit(turn, sa, phase, successor);
  sa.window.queue.push({ kind: "deleteIke" });
}

function readAnswer(link: Link, task: Extract<ActiveTask, { kind: "rekeyIke" }>, payloads: readonly Payload[]): AgreedIke {
  const chosen = findPayload(payloads, "sa");
  const ke = findPayload(payloads, "ke");
  const choice = chosen?.proposals.length === 1 ? chooseIke(chosen.proposals, link.ike, task.kex.method, true) : null;
  if (choice === null || ke === null || ke.method !== task.kex.method || choice.suite.kex !== ke.method) {
    throw invalidSyntax("The answer about rekeying the IKE SA does not fit what was asked.");
  }
  const nonceR = requireNonce(payloads);
  const spiR = proposedSpi(choice);
  const secret = peerSecret(() => task.kex.computeSharedSecret(ke.data));
  return { suite: choice.suite, nonceI: task.nonce, nonceR, spiI: task.spi, spiR, secret };
}

/** The peer's rekey of the same IKE SA, unless nothing has come of it. */
function standingRival(phase: EstablishedPhase, { rival }: Extract<ActiveTask, { kind: "rekeyIke" }>): IkeRival | null {
  const stands = rival !== null && (rival.sa !== null || (rival.pending !== null && phase.pending.includes(rival.pending)));
  return stands ? rival : null;
}

/** Ours is redundant. Where additional key exchanges were to follow neither end has made it, so there is nothing to close. */
function concede(turn: Turn, sa: IkeSa, link: Link, phase: EstablishedPhase, rival: IkeRival, agreed: AgreedIke): void {
  traceChoice(turn, link.config.id, "CREATE_CHILD_SA", "Both ends rekeyed the IKE SA at once; ours has the lowest nonce and is closed (RFC 7296 §2.8.2).");
  if (agreed.suite.additional.length === 0) successorOf(turn, sa, link, phase, "initiator", agreed, []).window.queue.push({ kind: "deleteIke" });
  yieldTo(turn, sa, phase, rival);
}

/** The peer's successor is the one, and the peer deletes the old SA; one that is still pending takes over when it is made. */
function yieldTo(turn: Turn, sa: IkeSa, phase: EstablishedPhase, rival: IkeRival): void {
  if (rival.sa === null) return;
  inherit(turn, sa, phase, rival.sa);
  phase.abandonAt = turn.now + ABANDON_MS;
}

/** Responder; the answer. */
export function answerRekeyIke(turn: Turn, sa: IkeSa, link: Link, payloads: readonly Payload[]): Payload[] {
  const phase = establishedPhase(sa);
  const own = sa.window.outstanding?.task ?? null;
  const isBusy = own !== null && (own.kind === "createChild" || own.kind === "rekeyChild" || own.kind === "deleteChild" || own.kind === "deleteIke");
  const ownRekey = own?.kind === "rekeyIke" ? own : null;
  // RFC 7296 §2.25.2: the children must not change hands in the middle of their own exchanges.
  // Ours that is agreed on and in its additional key exchanges is no collision any more.
  // Nor is a duplicate rekeyed that is about to be closed.
  const isLeaving = phase === null || phase.successor !== null || phase.abandonAt !== null;
  if (isLeaving || isBusy || (ownRekey !== null && ownRekey.followUp !== null)) return [notify(NotifyType.TEMPORARY_FAILURE)];
  const offered = findPayload(payloads, "sa");
  const ke = findPayload(payloads, "ke");
  if (offered === null || ke === null) throw invalidSyntax("Rekeying the IKE SA needs SA and KE.");
  const nonceI = requireNonce(payloads);
  const choice = chooseIke(offered.proposals, link.ike, ke.method, true);
  if (choice === null) {
    recordFailure(turn, link.config.id, "CREATE_CHILD_SA", noCommonProposal("IKE", offered.proposals, link.ike, true, true));
    return [notify(NotifyType.NO_PROPOSAL_CHOSEN)];
  }
  if (choice.suite.kex !== ke.method) return [invalidKe(choice.suite.kex)];
  const spiI = proposedSpi(choice);
  const { publicData, sharedSecret } = answerExchange(ke.method, ke.data);
  const nonceR = turn.engine.random.bytes(NONCE_OCTETS);
  const spiR = newIkeSpi(turn);
  const agreed: AgreedIke = { suite: choice.suite, nonceI, nonceR, spiI, spiR, secret: sharedSecret };
  const answer: Payload[] = [
    { kind: "sa", proposals: [{ ...choice.proposal, spi: spiOctets(spiR) }] },
    { kind: "nonce", data: nonceR },
    { kind: "ke", method: ke.method, data: publicData },
  ];
  if (agreed.suite.additional.length === 0) {
    succeedIke(turn, sa, link, phase, agreed, []);
    return answer;
  }
  const { pending, link: notification } = awaitFollowUp(turn, phase, { kind: "rekeyIke", agreed });
  if (ownRekey !== null) ownRekey.rival = { sa: null, pending, lowestNonce: lowestOf(agreed) };
  return [...answer, notification];
}

/** Responder: the successor inherits the children at once, or when the answer to our own rekey has decided. */
export function succeedIke(turn: Turn, sa: IkeSa, link: Link, phase: EstablishedPhase, agreed: AgreedIke, secrets: readonly Uint8Array[]): void {
  const successor = successorOf(turn, sa, link, phase, "responder", agreed, secrets);
  const rival: IkeRival = { sa: successor, pending: null, lowestNonce: lowestOf(agreed) };
  const own = sa.window.outstanding?.task;
  if (own?.kind === "rekeyIke") own.rival = rival;
  else yieldTo(turn, sa, phase, rival);
}

/** Made by the peer's rekey while ours of the same IKE SA waits for its answer: which of the two stays is not known yet. */
export function isUndecided(turn: Turn, sa: IkeSa): boolean {
  const others = sa.linkId === null ? [] : ikeSasOf(turn, sa.linkId);
  return others.some(({ window }) => window.outstanding?.task.kind === "rekeyIke" && window.outstanding.task.rival?.sa === sa);
}

/**
 * The peer asks for or closes Child SAs on the IKE SA that its rekey has made, so for it the collision is over and that one has
 * won; the answer to our own rekey, still on its way, will say the same.
 */
export function inheritByUse(turn: Turn, used: IkeSa): void {
  for (const sa of used.linkId === null ? [] : ikeSasOf(turn, used.linkId)) {
    const phase = establishedPhase(sa);
    const task = sa.window.outstanding?.task;
    if (phase === null || phase.successor !== null || task?.kind !== "rekeyIke" || task.rival?.sa !== used) continue;
    inherit(turn, sa, phase, used);
    phase.abandonAt = turn.now + ABANDON_MS;
  }
}

/** The children, and the requests that wait, go to the successor. Also when the peer deletes the old SA before the nonces decided. */
export function inherit(turn: Turn, old: IkeSa, phase: EstablishedPhase, made: IkeSa): void {
  const successor = lastOf(made);
  const heir = establishedPhase(successor);
  if (heir === null) return;
  for (const [id, child] of phase.children) {
    heir.children.set(id, child);
    turn.engine.children.move(id, successor);
  }
  phase.children.clear();
  phase.successor = successor;
  phase.rekeyAt = null;
  phase.reauthenticateAt = null;
  for (const sa of old.linkId === null ? [] : ikeSasOf(turn, old.linkId)) if (sa.replaces === old.id) sa.replaces = successor.id;
  // Also a DELETE: who wanted the old one gone wants the same of its successor.
  for (const task of old.window.queue.splice(0)) if (task.kind !== "rekeyIke") successor.window.queue.push(task);
  if (successor.linkId !== null) emitEvent(turn, { kind: "ikeSaRekeyed", linkId: successor.linkId, ikeSaId: successor.id });
}

/** Itself, or what it has been rekeyed into by now. */
function lastOf(sa: IkeSa): IkeSa {
  const next = establishedPhase(sa)?.successor ?? null;
  return next === null ? sa : lastOf(next);
}

function successorOf(turn: Turn, old: IkeSa, link: Link, phase: EstablishedPhase, role: Role, agreed: AgreedIke, secrets: readonly Uint8Array[]): IkeSa {
  const keys = deriveRekeyedIkeKeys(agreed.suite, phase.session.keys, agreed, agreed.secret, secrets, turn.engine.random);
  const successor: IkeSa = {
    id: newId(turn, "ike"),
    role,
    spiI: agreed.spiI,
    spiR: agreed.spiR,
    linkId: old.linkId,
    candidateLinkId: null,
    replaces: old.replaces,
    local: old.local,
    remote: old.remote,
    createdAt: turn.now,
    lastReceivedAt: turn.now,
    lastSentAt: turn.now,
    path: null,
    window: newWindow(0, 0),
    reassembly: newReassembly(),
    phase: {
      ...phase,
      session: { ...phase.session, suite: agreed.suite, keys },
      establishedAt: turn.now,
      rekeyAt: softDeadline(turn, link.config.ikeRekeyMs),
      expiresAt: hardDeadline(turn, link.config.ikeRekeyMs),
      children: new Map(),
      successor: null,
      pending: [],
      abandonAt: null,
    },
  };
  registerIkeSa(turn, successor);
  traceChoice(turn, link.config.id, "CREATE_CHILD_SA", `New IKE SA ${hex64(agreed.spiI)}/${hex64(agreed.spiR)}, suite ${formatIkeSuite(agreed.suite)}.`);
  return successor;
}

function onRefused(turn: Turn, sa: IkeSa, link: Link, phase: EstablishedPhase, task: Extract<ActiveTask, { kind: "rekeyIke" }>, error: Notify): void {
  const rival = standingRival(phase, task);
  // Ours failed, the peer's stands.
  if (rival !== null) return yieldTo(turn, sa, phase, rival);
  if (error.type === NotifyType.INVALID_KE_PAYLOAD && error.data.length === 2) {
    const method = readU16(error.data, 0);
    const isNew = method !== task.kex.method && link.ike.some((spec) => spec.kex.some((one) => one === method));
    if (isNew) return beginRekeyIke(turn, sa, link, method);
  }
  if (error.type === NotifyType.TEMPORARY_FAILURE) {
    phase.rekeyAt = temporaryRetryAt(turn);
    traceChoice(turn, link.config.id, "CREATE_CHILD_SA", "The peer is busy with another exchange; rekeying the IKE SA is tried again in a moment.");
    return;
  }
  if (error.type === NotifyType.STATE_NOT_FOUND) {
    // RFC 9370 §2.2.4: the peer has given the half-made SA up; it is begun anew.
    phase.rekeyAt = temporaryRetryAt(turn);
    traceChoice(turn, link.config.id, "IKE_FOLLOWUP_KE", "The peer has given up the rekey before its last key exchange; it is begun anew in a moment.");
    return;
  }
  phase.rekeyAt = retryAfterRefusal(turn);
  recordFailure(turn, link.config.id, "CREATE_CHILD_SA", ikeRekeyRefusal(describeOffer(task.offered), error));
}

export function ikeRekeyRefusal(offered: string, error: Notify): Failure {
  if (error.type === NotifyType.NO_PROPOSAL_CHOSEN) return proposalsRefused("IKE", offered, true, true);
  if (error.type === NotifyType.INVALID_KE_PAYLOAD && error.data.length === 2) return groupRefused("IKE", readU16(error.data, 0), offered, true);
  return refusedByNotify("CREATE_CHILD_SA (rekey of the IKE SA)", error);
}

function lowestOf({ nonceI, nonceR }: AgreedIke): PackedOctets {
  return lowerNonce(nonceI, nonceR);
}

function proposedSpi(choice: Choice<IkeSuite>): IkeSpi {
  const { spi } = choice.proposal;
  const value = spi.length === 8 ? readU64(spi, 0) : 0n;
  if (value === 0n) throw new IkeProtocolError(NotifyType.INVALID_SYNTAX, "notify", "A proposal for a new IKE SA needs an SPI of 8 octets.");
  return value as IkeSpi;
}

function spiOctets(spi: IkeSpi): Uint8Array {
  const octets = new Uint8Array(8);
  writeU64(octets, 0, spi);
  return octets;
}
