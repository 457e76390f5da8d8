import { startKeyExchange } from "../../crypto/key-exchange.ts";
import { ExchangeType, NotifyType } from "../../wire/iana.ts";
import type { Payload } from "../../wire/ikev2/message-types.ts";
import { invalidSyntax } from "../../wire/ikev2/protocol-error.ts";
import type { FollowUp, PendingExchange } from "../agreement.ts";
import { type EstablishedPhase, establishedPhase, type IkeSa, isEnding } from "../ike-sa.ts";
import { findNotify, findPayload, notify, sendRequest } from "../messaging.ts";
import type { AdditionalKex } from "../negotiation/choose-proposal.ts";
import { formatAdditionalKex } from "../negotiation/proposal-keywords.ts";
import type { ActiveTask } from "../task.ts";
import type { Turn } from "../turn.ts";
import { answerExchange, peerSecret } from "./exchange-values.ts";
import { temporaryRetryAt } from "./retry.ts";

/*
 * Additional key exchanges after CREATE_CHILD_SA (RFC 9370 §2.2.4), one after the other. The responder's notify links each to the one
 * before; what was agreed on becomes an SA with the last:
 *   CREATE_CHILD_SA  -->  <--  SA, Nr, KEr, N(link 1)      KEi(1), N(link 1)  -->  <--  KEr(1), N(link 2)      …  -->  <--  KEr(n)
 */

/** The initiator may have forgotten: RFC 9370 §2.2.4 has the responder wait 5 to 20 seconds. */
const WAIT_MS = 20_000;
const LINK_OCTETS = 8;
/** A peer begins one at a time; one that begins more has given up the older ones. */
const MOST_PENDING = 4;

type Agreement = { readonly suite: { readonly additional: readonly AdditionalKex[] } };

/**
 * Initiator, after an answer: begins the next additional key exchange and gives null, or the secrets when all are done; on an IKE SA that
 * is to be deleted it gives null and begins nothing. `before` is null for the answer to CREATE_CHILD_SA. Throws IkeProtocolError for an answer that does not fit.
 */
export function followUp<Agreed extends Agreement>(
  turn: Turn,
  sa: IkeSa,
  agreed: Agreed,
  before: FollowUp<Agreed> | null,
  answer: readonly Payload[],
  taskOf: (next: FollowUp<Agreed>) => ActiveTask,
): readonly Uint8Array[] | null {
  const secrets = before === null ? [] : [...before.secrets, secretOf(before, answer)];
  const next = agreed.suite.additional[secrets.length];
  if (next === undefined) return secrets;
  // Nothing is made at the peer before the last one, so there is nothing that the DELETE which waits would not end.
  if (isEnding(sa)) return null;
  const link = findNotify(answer, NotifyType.ADDITIONAL_KEY_EXCHANGE);
  if (link === null) throw invalidSyntax(`The answer lacks ADDITIONAL_KEY_EXCHANGE although ${formatAdditionalKex(next.number, next.method)} is to follow.`);
  const kex = startKeyExchange(next.method);
  const payloads: Payload[] = [{ kind: "ke", method: kex.method, data: kex.publicData }, notify(NotifyType.ADDITIONAL_KEY_EXCHANGE, link.data.slice())];
  sendRequest(turn, sa, ExchangeType.IKE_FOLLOWUP_KE, payloads, taskOf({ agreed, secrets, kex }));
  return null;
}

function secretOf({ kex }: FollowUp<Agreement>, answer: readonly Payload[]): Uint8Array {
  const ke = findPayload(answer, "ke");
  if (ke === null || ke.method !== kex.method) throw invalidSyntax("The answer to IKE_FOLLOWUP_KE lacks the key exchange value that was agreed on.");
  return peerSecret(() => kex.computeSharedSecret(ke.data));
}

/** Responder: keeps what was agreed on; the notify goes into the answer to CREATE_CHILD_SA. */
export function awaitFollowUp(
  turn: Turn,
  phase: EstablishedPhase,
  purpose: PendingExchange["purpose"],
): { readonly pending: PendingExchange; readonly link: Payload } {
  for (const old of phase.pending.filter((one) => replaces(purpose, one.purpose))) forget(phase, old);
  while (phase.pending.length >= MOST_PENDING) forget(phase, phase.pending[0]!);
  const pending: PendingExchange = { link: turn.engine.random.bytes(LINK_OCTETS), secrets: [], forgetAt: turn.now + WAIT_MS, purpose };
  phase.pending.push(pending);
  return { pending, link: notify(NotifyType.ADDITIONAL_KEY_EXCHANGE, pending.link) };
}

/**
 * Responder: the answer to one IKE_FOLLOWUP_KE, and what was pending once its last secret is there (it is pending no more). Throws
 * IkeProtocolError for a request that does not fit; the exchange it belongs to is over then.
 */
export function takeFollowUp(turn: Turn, sa: IkeSa, payloads: readonly Payload[]): { readonly payloads: Payload[]; readonly complete: PendingExchange | null } {
  const link = findNotify(payloads, NotifyType.ADDITIONAL_KEY_EXCHANGE);
  const ke = findPayload(payloads, "ke");
  if (link === null || ke === null) throw invalidSyntax("IKE_FOLLOWUP_KE needs KE and ADDITIONAL_KEY_EXCHANGE.");
  const phase = establishedPhase(sa);
  const pending = phase?.pending.find((one) => sameOctets(one.link, link.data));
  if (phase === null || pending === undefined) return { payloads: [notify(NotifyType.STATE_NOT_FOUND)], complete: null };
  const { additional } = pending.purpose.agreed.suite;
  const due = additional[pending.secrets.length]!;
  let answered: ReturnType<typeof answerExchange>;
  try {
    if (ke.method !== due.method) throw invalidSyntax(`IKE_FOLLOWUP_KE lacks the value for ${formatAdditionalKex(due.number, due.method)}, whose turn it is.`);
    answered = answerExchange(ke.method, ke.data);
  } catch (error) {
    dropPending(turn, phase, pending);
    throw error;
  }
  pending.secrets.push(answered.sharedSecret);
  const answer: Payload[] = [{ kind: "ke", method: ke.method, data: answered.publicData }];
  if (pending.secrets.length === additional.length) {
    forget(phase, pending);
    return { payloads: answer, complete: pending };
  }
  pending.link = turn.engine.random.bytes(LINK_OCTETS);
  return { payloads: [...answer, notify(NotifyType.ADDITIONAL_KEY_EXCHANGE, pending.link)], complete: null };
}

/** The peer is about to replace the IKE SA: neither its children nor itself change until that is decided (RFC 7296 §2.25.2). */
export function isRekeyPending(phase: EstablishedPhase): boolean {
  return phase.pending.some((one) => one.purpose.kind === "rekeyIke");
}

/** Responder: nothing comes of it. The SA that it was to replace is rekeyed by us if the peer does not begin anew, unless it is on its way out. */
export function dropPending(turn: Turn, phase: EstablishedPhase, pending: PendingExchange): void {
  forget(phase, pending);
  const { purpose } = pending;
  if (purpose.kind === "rekeyIke") phase.rekeyAt ??= temporaryRetryAt(turn);
  const old = purpose.kind === "rekeyChild" ? phase.children.get(purpose.childSaId) : undefined;
  if (old?.state.kind === "established") old.rekeyAt ??= temporaryRetryAt(turn);
}

/** The exchange has become pointless: the other end does not go on with it. */
export function forget(phase: EstablishedPhase, pending: PendingExchange): void {
  phase.pending.splice(phase.pending.indexOf(pending), 1);
}

function replaces(now: PendingExchange["purpose"], before: PendingExchange["purpose"]): boolean {
  if (now.kind === "rekeyChild") return before.kind === "rekeyChild" && before.childSaId === now.childSaId;
  return now.kind === "rekeyIke" && before.kind === "rekeyIke";
}

function sameOctets(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((octet, index) => octet === b[index]);
}
