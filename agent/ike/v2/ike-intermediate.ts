import { notifyName, refusedByNotify } from "../diagnosis/refusal.ts";
import { startKeyExchange } from "../../crypto/key-exchange.ts";
import { ExchangeType } from "../../wire/iana.ts";
import { plainForm, serializePayloads } from "../../wire/ikev2/message.ts";
import type { Header, Payload } from "../../wire/ikev2/message-types.ts";
import { invalidSyntax } from "../../wire/ikev2/protocol-error.ts";
import { recordFailure } from "../diagnosis/failure.ts";
import type { IkeSa, InitAnsweredPhase, InitTranscript, Link } from "../ike-sa.ts";
import { findError, findPayload, headerOf, sendRequest, sendResponse } from "../messaging.ts";
import { addIntermediate, nextAdditional } from "../negotiation/intermediate-auth.ts";
import { deriveUpdatedIkeKeys } from "../negotiation/key-schedule.ts";
import { formatAdditionalKex } from "../negotiation/proposal-keywords.ts";
import { removeIkeSa } from "../sa-removal.ts";
import { type Session, zeroizeSession } from "../session.ts";
import type { ActiveTask } from "../task.ts";
import { traceChoice } from "../trace.ts";
import type { Turn } from "../turn.ts";
import { answerExchange, peerSecret } from "./exchange-values.ts";
import { sendAuthRequest } from "./ike-auth.ts";

/*
 * Additional key exchanges between IKE_SA_INIT and IKE_AUTH (RFC 9242, RFC 9370 §2.2.2), one after the other:
 *   SK {KEi(n)}  -->  <--  SK {KEr(n)}
 * Both messages are protected with the keys from before; all that follows with keys that also stem from the new secret.
 */

/** Initiator: the next additional key exchange, or IKE_AUTH when all are done. */
export function proceedAfterInit(turn: Turn, sa: IkeSa, link: Link, session: Session, transcript: InitTranscript): void {
  const next = nextAdditional(session.suite, transcript.intermediate);
  if (next === null) return sendAuthRequest(turn, sa, link, session, transcript);
  const kex = startKeyExchange(next.method);
  const payloads: Payload[] = [{ kind: "ke", method: kex.method, data: kex.publicData }];
  sa.phase = { kind: "intermediateSent", session, transcript };
  const request = plainOf(headerOf(sa, ExchangeType.IKE_INTERMEDIATE, sa.window.nextSend, false), payloads);
  sendRequest(turn, sa, ExchangeType.IKE_INTERMEDIATE, payloads, { kind: "ikeIntermediate", kex, request });
}

/** Initiator. `plain`: the answer as it was before its encryption. Throws IkeProtocolError for an answer that does not fit. */
export function onIntermediateResponse(
  turn: Turn,
  sa: IkeSa,
  link: Link,
  task: Extract<ActiveTask, { kind: "ikeIntermediate" }>,
  payloads: readonly Payload[],
  plain: Uint8Array,
): void {
  if (sa.phase.kind !== "intermediateSent") throw new TypeError("An answer to IKE_INTERMEDIATE needs its request.");
  const { session, transcript } = sa.phase;
  const error = findError(payloads);
  if (error !== null) {
    const sentence = `The peer refused the additional key exchange that it had agreed on with ${notifyName(error.type)}.`;
    recordFailure(turn, link.config.id, "IKE_INTERMEDIATE", { ...refusedByNotify("IKE_INTERMEDIATE", error), sentence });
    return removeIkeSa(turn, sa);
  }
  const ke = findPayload(payloads, "ke");
  if (ke === null || ke.method !== task.kex.method) throw invalidSyntax("The answer to IKE_INTERMEDIATE lacks the key exchange value that was agreed on.");
  const secret = peerSecret(() => task.kex.computeSharedSecret(ke.data));
  const updated = update(turn, sa, session, transcript, secret, task.request, plain);
  zeroizeSession(session);
  proceedAfterInit(turn, sa, link, updated.session, updated.transcript);
}

/** Responder: answers with the keys from before, then uses the new ones. Throws IkeProtocolError for a request that does not fit. */
export function onIntermediateRequest(turn: Turn, sa: IkeSa, messageId: number, payloads: readonly Payload[], plain: Uint8Array): void {
  if (sa.phase.kind !== "initAnswered") throw invalidSyntax("IKE_INTERMEDIATE comes between IKE_SA_INIT and IKE_AUTH.");
  const { session, transcript, previous } = sa.phase;
  const next = nextAdditional(session.suite, transcript.intermediate);
  if (next === null) throw invalidSyntax("There is one IKE_INTERMEDIATE more than key exchanges were agreed on.");
  const ke = findPayload(payloads, "ke");
  if (ke === null || ke.method !== next.method) {
    throw invalidSyntax(`IKE_INTERMEDIATE lacks the value for ${formatAdditionalKex(next.number, next.method)}, whose turn it is.`);
  }
  const { publicData, sharedSecret } = answerExchange(ke.method, ke.data);
  const answer: Payload[] = [{ kind: "ke", method: ke.method, data: publicData }];
  const response = plainOf(headerOf(sa, ExchangeType.IKE_INTERMEDIATE, messageId, true), answer);
  sendResponse(turn, sa, ExchangeType.IKE_INTERMEDIATE, messageId, answer);
  const updated = update(turn, sa, session, transcript, sharedSecret, plain, response);
  if (previous !== null) zeroizeSession(previous);
  const phase: InitAnsweredPhase = { ...sa.phase, ...updated, previous: session };
  sa.phase = phase;
}

function update(
  turn: Turn,
  sa: IkeSa,
  session: Session,
  transcript: InitTranscript,
  secret: Uint8Array,
  request: Uint8Array,
  response: Uint8Array,
): { readonly session: Session; readonly transcript: InitTranscript } {
  const intermediate = addIntermediate(transcript.intermediate, session.keys, request, response);
  const facts = { spiI: sa.spiI, spiR: sa.spiR, nonceI: transcript.nonceI, nonceR: transcript.nonceR };
  const keys = deriveUpdatedIkeKeys(session.suite, session.keys, facts, secret, turn.engine.random);
  const done = nextAdditional(session.suite, transcript.intermediate)!;
  traceChoice(
    turn,
    sa.linkId,
    "IKE_INTERMEDIATE",
    `The additional key exchange ${formatAdditionalKex(done.number, done.method)} is done; the keys from now on stem from it too.`,
  );
  return { session: { ...session, keys }, transcript: { ...transcript, intermediate } };
}

function plainOf(header: Header, payloads: readonly Payload[]): Uint8Array {
  const { firstPayload, bytes } = serializePayloads(payloads);
  return plainForm(header, firstPayload, bytes);
}
