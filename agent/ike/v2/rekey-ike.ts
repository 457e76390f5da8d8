import { startKeyExchange } from "../../crypto/key-exchange.ts";
import { ExchangeType, NotifyType } from "../../wire/iana.ts";
import type { IkeSpi, Payload } from "../../wire/ikev2/message-types.ts";
import { IkeProtocolError, invalidSyntax } from "../../wire/ikev2/protocol-error.ts";
import { readU16, readU64, writeU64 } from "../../wire/octets.ts";
import { hardDeadline, softDeadline } from "../child-sa.ts";
import { type Failure, recordFailure } from "../diagnosis/failure.ts";
import { groupRefused, noCommonProposal, proposalsRefused } from "../diagnosis/proposals.ts";
import { refusedByNotify } from "../diagnosis/refusal.ts";
import { newReassembly } from "../fragmentation.ts";
import { type EstablishedPhase, establishedPhase, type IkeSa, type Link, newWindow, type Notify, type Role } from "../ike-sa.ts";
import { findError, findPayload, invalidKe, notify, registerIkeSa, sendRequest } from "../messaging.ts";
import { type Choice, chooseIke, describeOffer, formatIkeSuite, type IkeSuite, offer } from "../negotiation/choose-proposal.ts";
import { deriveRekeyedIkeKeys } from "../negotiation/key-schedule.ts";
import type { ActiveTask } from "../task.ts";
import { hex64, traceChoice } from "../trace.ts";
import { emitEvent, newId, newIkeSpi, type Turn } from "../turn.ts";
import { answerExchange, compareNonces, lowerNonce, NONCE_OCTETS, peerSecret, requireNonce } from "./child-negotiation.ts";
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
  sendRequest(turn, sa, ExchangeType.CREATE_CHILD_SA, payloads, { kind: "rekeyIke", spi, nonce, kex, offered, rival: null });
}

export function finishRekeyIke(turn: Turn, sa: IkeSa, link: Link, task: Extract<ActiveTask, { kind: "rekeyIke" }>, payloads: readonly Payload[]): void {
  const phase = establishedPhase(sa);
  if (phase === null) return;
  const error = findError(payloads);
  if (error !== null) return onRefused(turn, sa, link, phase, task, error);
  const chosen = findPayload(payloads, "sa");
  const ke = findPayload(payloads, "ke");
  const choice = chosen?.proposals.length === 1 ? chooseIke(chosen.proposals, link.ike, task.kex.method, false) : null;
  if (choice === null || ke === null || ke.method !== task.kex.method || choice.suite.kex !== ke.method) {
    throw invalidSyntax("The answer about rekeying the IKE SA does not fit what was asked.");
  }
  const nonceR = requireNonce(payloads);
  const spiR = proposedSpi(choice);
  const secret = peerSecret(() => task.kex.computeSharedSecret(ke.data));
  const facts = { nonceI: task.nonce, nonceR, spiI: task.spi, spiR };
  const successor = successorOf(turn, sa, link, phase, "initiator", choice, facts, secret);
  const { rival } = task;
  const isLoser = rival !== null && (phase.successor !== null || compareNonces(lowerNonce(task.nonce, nonceR), rival.lowestNonce) < 0);
  if (isLoser) {
    traceChoice(turn, link.config.id, "CREATE_CHILD_SA", "Both ends rekeyed the IKE SA at once; ours has the lowest nonce and is closed (RFC 7296 §2.8.2).");
    successor.window.queue.push({ kind: "deleteIke" });
    inherit(turn, sa, phase, rival.sa);
    phase.abandonAt = turn.now + ABANDON_MS;
    return;
  }
  if (rival !== null) {
    const theirs = establishedPhase(rival.sa);
    if (theirs !== null) theirs.abandonAt = turn.now + ABANDON_MS;
  }
  inherit(turn, sa, phase, successor);
  sa.window.queue.push({ kind: "deleteIke" });
}

/** Responder; the answer. */
export function answerRekeyIke(turn: Turn, sa: IkeSa, link: Link, payloads: readonly Payload[]): Payload[] {
  const phase = establishedPhase(sa);
  const own = sa.window.outstanding?.task ?? null;
  const isBusy = own !== null && (own.kind === "createChild" || own.kind === "rekeyChild" || own.kind === "deleteChild" || own.kind === "deleteIke");
  // RFC 7296 §2.25.2: the children must not change hands in the middle of their own exchanges.
  if (phase === null || phase.successor !== null || isBusy) return [notify(NotifyType.TEMPORARY_FAILURE)];
  const offered = findPayload(payloads, "sa");
  const ke = findPayload(payloads, "ke");
  if (offered === null || ke === null) throw invalidSyntax("Rekeying the IKE SA needs SA and KE.");
  const nonceI = requireNonce(payloads);
  const choice = chooseIke(offered.proposals, link.ike, ke.method, false);
  if (choice === null) {
    recordFailure(turn, link.config.id, "CREATE_CHILD_SA", noCommonProposal("IKE", offered.proposals, link.ike, true, true));
    return [notify(NotifyType.NO_PROPOSAL_CHOSEN)];
  }
  if (choice.suite.kex !== ke.method) return [invalidKe(choice.suite.kex)];
  const spiI = proposedSpi(choice);
  const { publicData, sharedSecret } = answerExchange(ke.method, ke.data);
  const nonceR = turn.engine.random.bytes(NONCE_OCTETS);
  const spiR = newIkeSpi(turn);
  const successor = successorOf(turn, sa, link, phase, "responder", choice, { nonceI, nonceR, spiI, spiR }, sharedSecret);
  if (own?.kind === "rekeyIke") own.rival = { sa: successor, lowestNonce: lowerNonce(nonceI, nonceR) };
  else {
    inherit(turn, sa, phase, successor);
    phase.abandonAt = turn.now + ABANDON_MS;
  }
  return [
    { kind: "sa", proposals: [{ ...choice.proposal, spi: spiOctets(spiR) }] },
    { kind: "nonce", data: nonceR },
    { kind: "ke", method: ke.method, data: publicData },
  ];
}

/**
 * The peer asks for or closes Child SAs on the IKE SA that its rekey has made, so for it the collision is over and that one has
 * won; the answer to our own rekey, still on its way, will say the same.
 */
export function inheritByUse(turn: Turn, used: IkeSa): void {
  for (const sa of turn.engine.ikeSas.values()) {
    const phase = establishedPhase(sa);
    const task = sa.window.outstanding?.task;
    if (phase === null || phase.successor !== null || task?.kind !== "rekeyIke" || task.rival?.sa !== used) continue;
    inherit(turn, sa, phase, used);
    phase.abandonAt = turn.now + ABANDON_MS;
  }
}

/** The children, and the requests that wait, go to the successor. Also when the peer deletes the old SA before the nonces decided. */
export function inherit(turn: Turn, old: IkeSa, phase: EstablishedPhase, successor: IkeSa): void {
  const heir = establishedPhase(successor);
  if (heir === null) return;
  for (const [id, child] of phase.children) heir.children.set(id, child);
  phase.children.clear();
  phase.successor = successor;
  phase.rekeyAt = null;
  phase.reauthenticateAt = null;
  for (const sa of turn.engine.ikeSas.values()) if (sa.replaces === old.id) sa.replaces = successor.id;
  // Also a DELETE: who wanted the old one gone wants the same of its successor.
  for (const task of old.window.queue.splice(0)) if (task.kind !== "rekeyIke") successor.window.queue.push(task);
  if (successor.linkId !== null) emitEvent(turn, { kind: "ikeSaRekeyed", linkId: successor.linkId, ikeSaId: successor.id });
}

function successorOf(
  turn: Turn,
  old: IkeSa,
  link: Link,
  phase: EstablishedPhase,
  role: Role,
  choice: Choice<IkeSuite>,
  facts: { readonly nonceI: Uint8Array; readonly nonceR: Uint8Array; readonly spiI: IkeSpi; readonly spiR: IkeSpi },
  secret: Uint8Array,
): IkeSa {
  const keys = deriveRekeyedIkeKeys(choice.suite, phase.session.keys, facts, secret, turn.engine.random);
  const successor: IkeSa = {
    id: newId(turn, "ike"),
    role,
    spiI: facts.spiI,
    spiR: facts.spiR,
    linkId: old.linkId,
    replaces: old.replaces,
    local: old.local,
    remote: old.remote,
    createdAt: turn.now,
    lastReceivedAt: turn.now,
    lastSentAt: turn.now,
    window: newWindow(0, 0),
    reassembly: newReassembly(),
    phase: {
      ...phase,
      session: { ...phase.session, suite: choice.suite, keys },
      origin: "rekeyed",
      establishedAt: turn.now,
      rekeyAt: softDeadline(turn, link.config.ikeRekeyMs),
      expiresAt: hardDeadline(turn, link.config.ikeRekeyMs),
      children: new Map(),
      lowestNonce: lowerNonce(facts.nonceI, facts.nonceR),
      successor: null,
      abandonAt: null,
    },
  };
  registerIkeSa(turn, successor);
  traceChoice(turn, link.config.id, "CREATE_CHILD_SA", `New IKE SA ${hex64(facts.spiI)}/${hex64(facts.spiR)}, suite ${formatIkeSuite(choice.suite)}.`);
  return successor;
}

function onRefused(turn: Turn, sa: IkeSa, link: Link, phase: EstablishedPhase, task: Extract<ActiveTask, { kind: "rekeyIke" }>, error: Notify): void {
  if (task.rival !== null) {
    // Ours failed, the peer's stands: it is the one, and the peer deletes the old SA.
    inherit(turn, sa, phase, task.rival.sa);
    phase.abandonAt = turn.now + ABANDON_MS;
    return;
  }
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
  phase.rekeyAt = retryAfterRefusal(turn);
  recordFailure(turn, link.config.id, "CREATE_CHILD_SA", ikeRekeyRefusal(describeOffer(task.offered), error));
}

function ikeRekeyRefusal(offered: string, error: Notify): Failure {
  if (error.type === NotifyType.NO_PROPOSAL_CHOSEN) return proposalsRefused("IKE", offered, true, true);
  if (error.type === NotifyType.INVALID_KE_PAYLOAD && error.data.length === 2) return groupRefused("IKE", readU16(error.data, 0), offered, true);
  return refusedByNotify("CREATE_CHILD_SA (rekey of the IKE SA)", error);
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
