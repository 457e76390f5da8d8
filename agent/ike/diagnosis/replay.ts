import { ExchangeType } from "../../wire/iana.ts";
import { requireAllowedPayloads } from "../../wire/ikev2/exchange-payloads.ts";
import { parsePayloads, refuseUnknownCritical } from "../../wire/ikev2/message.ts";
import type { Payload } from "../../wire/ikev2/message-types.ts";
import { IkeProtocolError } from "../../wire/ikev2/protocol-error.ts";
import type { LinkConfig, TraceRecord } from "../endpoint-types.ts";
import { childProposals } from "../negotiation/child-proposals.ts";
import { parseProposal } from "../negotiation/proposal-keywords.ts";
import { type Cause, factsOf } from "./facts.ts";
import type { Failure } from "./failure.ts";
import { brokenByPeer } from "./refusal.ts";
import { replayAuthRequest, replayAuthResponse } from "./replay-auth.ts";
import { replayCreateChildRequest, replayCreateChildResponse, replayInformational } from "./replay-child.ts";
import { replayInitRequest, replayInitResponse } from "./replay-init.ts";
import { type Conclusion, type Conversation, failed, type ReplayContext } from "./replay-steps.ts";
import { readTracedOctets } from "./traced-octets.ts";
import { ownVerdict, type TraceStep, type Verdict } from "./verdict.ts";

/*
 * A recorded negotiation once more: the octets of each message go through the codecs, and what they ask for through the choosers,
 * as the engine would do now. What hangs on keys or on time (a wrong pre-shared key, a signature, a silence) cannot be computed
 * again from a redacted trace; the trace's own conclusion stands for it, and says so.
 */

export interface ReplayedStep {
  readonly record: TraceRecord;
  readonly conclusions: readonly Conclusion[];
}

export interface Replay {
  readonly steps: readonly ReplayedStep[];
  /** The steps in the form of a trace: with the other end's, what `verdict` takes. */
  readonly trace: readonly TraceStep[];
  /** By what was computed anew; null: nothing went wrong. */
  readonly verdict: Verdict | null;
  /** By what was recorded. */
  readonly recorded: Verdict | null;
}

/** `config`: the link as it was, secrets empty. Throws RangeError when its proposals are none that this version knows. */
export function replay(config: LinkConfig, records: readonly TraceRecord[]): Replay {
  const context = {
    config,
    ike: config.ikeProposals.map((text) => parseProposal(text, "ike")),
    esp: childProposals(config),
  };
  const conversations = new Map<string, Conversation>();
  const steps: { record: TraceRecord; conclusions: Conclusion[] }[] = [];
  // Of the last message each way: whether its octets are missing, so that what it led to cannot be found again.
  // A trace may begin in the middle.
  const blind = { sent: false, received: true };
  for (const record of records) {
    if (record.direction === "local") {
      steps.push({ record, conclusions: recordedConclusions(record, blind.sent || blind.received) });
      continue;
    }
    const decoded = decode(record);
    const conversation = conversationOf(conversations, record);
    blind[record.direction] = decoded === null || lacksRequest(conversation, record);
    const conclusions = decoded === null ? [] : [...conclusionsFrom(context, conversation, record, decoded, steps.length)];
    steps.push({ record, conclusions });
  }
  for (const { hint } of conversations.values()) if (hint !== null) steps[hint.step]?.conclusions.push(hint.conclusion);
  const trace = steps.flatMap(stepsOf);
  return { steps, trace, verdict: ownVerdict(trace), recorded: ownVerdict(records) };
}

function conversationOf(conversations: Map<string, Conversation>, { detail }: TraceRecord): Conversation {
  const key = String(detail["spiI"]);
  const known = conversations.get(key) ?? { asked: new Map<number, readonly Payload[]>(), rounds: 0, hint: null };
  conversations.set(key, known);
  return known;
}

/** An answer to what is not in the trace. */
function lacksRequest({ asked }: Conversation, { direction, messageId, detail }: TraceRecord): boolean {
  return direction === "received" && detail["response"] === true && (messageId === null || !asked.has(messageId));
}

function* conclusionsFrom(context: ReplayContext, conversation: Conversation, record: TraceRecord, decoded: Decoded, step: number): Generator<Conclusion> {
  const { messageId } = record;
  const isResponse = record.detail["response"] === true;
  if (messageId === null) return;
  if (record.direction === "sent") {
    if (!isResponse && decoded.payloads !== null) conversation.asked.set(messageId, decoded.payloads);
    return;
  }
  if (decoded.payloads === null) {
    yield failed(decoded.failure);
    return;
  }
  const read = isResponse ? replayResponse : replayRequest;
  yield* read(context, conversation, record, decoded.payloads, messageId, step);
}

function* replayRequest(context: ReplayContext, _conversation: Conversation, record: TraceRecord, payloads: readonly Payload[]): Generator<Conclusion> {
  switch (record.exchange) {
    case "IKE_SA_INIT":
      return yield* replayInitRequest(context, payloads);
    case "IKE_AUTH":
      return yield* replayAuthRequest(context, payloads, record.at);
    case "CREATE_CHILD_SA":
      return yield* replayCreateChildRequest(context, payloads);
    case "INFORMATIONAL":
      return yield* replayInformational(context, payloads, record.at);
    default:
      return;
  }
}

function* replayResponse(
  context: ReplayContext,
  conversation: Conversation,
  record: TraceRecord,
  payloads: readonly Payload[],
  messageId: number,
  step: number,
): Generator<Conclusion> {
  const asked = conversation.asked.get(messageId) ?? [];
  switch (record.exchange) {
    case "IKE_SA_INIT":
      return yield* replayInitResponse(context, conversation, asked, payloads, step);
    case "IKE_AUTH":
      return yield* replayAuthResponse(context, asked, payloads, record.at);
    case "CREATE_CHILD_SA":
      return yield* replayCreateChildResponse(context, asked, payloads);
    default:
      return;
  }
}

type Decoded = { readonly payloads: readonly Payload[] } | { readonly payloads: null; readonly failure: Failure };

/** The payloads, or why they cannot be used; null when the octets were not kept. */
function decode(record: TraceRecord): Decoded | null {
  const { wire, exchange, direction } = record;
  // An empty message has no octets to keep.
  const bytes = wire === undefined ? (isEmpty(record) ? new Uint8Array(0) : null) : readTracedOctets(wire);
  if (bytes === null) return null;
  try {
    const payloads = parsePayloads(wire?.firstPayload ?? 0, bytes);
    if (direction === "sent") return { payloads };
    refuseUnknownCritical(payloads);
    const number = Object.entries(ExchangeType).find(([name]) => name === exchange)?.[1];
    if (number !== undefined) requireAllowedPayloads(number, exchange === "IKE_SA_INIT" ? "clear" : "protected", payloads);
    return { payloads };
  } catch (error) {
    if (!(error instanceof IkeProtocolError)) throw error;
    return { payloads: null, failure: brokenByPeer(record.detail["response"] === true ? `answer to ${exchange}` : exchange, error) };
  }
}

function isEmpty({ detail }: TraceRecord): boolean {
  return Array.isArray(detail["payloads"]) && detail["payloads"].length === 0;
}

/** Causes that a replay finds by itself: what the trace concluded about them is not looked at. */
const COMPUTED: ReadonlySet<Cause> = new Set<Cause>([
  "proposals",
  "protocols",
  "intermediateMissing",
  "proposalsRefused",
  "groupRefused",
  "authenticationMethod",
  "authenticationRefused",
  "peerIdentity",
  "ownIdentity",
  "mode",
  "selectors",
  "selectorsRefused",
  "syntax",
  "criticalPayload",
  "notifyRefused",
  "cookieReturned",
  "cookieLoop",
]);

/** Of what is wrong with a certificate: what takes keys, or what was known only then. */
const UNREPEATABLE: ReadonlySet<string> = new Set(["signature", "revoked", "revocationUnknown"]);

/** `isBlind`: the messages before it have no octets, so that its word is taken for everything. */
function recordedConclusions(record: TraceRecord, isBlind: boolean): Conclusion[] {
  const { detail, summary } = record;
  const facts = factsOf(detail);
  const code = detail["failure"] ?? detail["finding"];
  if (typeof code !== "string") {
    return record.exchange === "CHILD_SA" && typeof detail["childSaId"] === "string" ? [{ sentence: summary, failure: null, isRecorded: true }] : [];
  }
  if (!isBlind && facts !== null && (COMPUTED.has(facts.cause) || (facts.cause === "certificate" && !UNREPEATABLE.has(facts.problem)))) return [];
  const failure = { code, sentence: summary, ...(facts === null ? {} : { facts }) };
  return [{ sentence: summary, failure, isRecorded: true, isFinding: detail["failure"] === undefined }];
}

/** In the form of a trace, so that the same rules find the verdict. */
function stepsOf({ record, conclusions }: ReplayedStep): TraceStep[] {
  if (record.direction !== "local") {
    const { at, direction, exchange, messageId, summary, detail } = record;
    return [{ at, direction, exchange, messageId, summary, detail }, ...conclusions.flatMap((one) => conclusionStep(record, one))];
  }
  return conclusions.flatMap((one) => (one.failure === null ? [record] : conclusionStep(record, one)));
}

function conclusionStep(record: TraceRecord, { failure, isFinding }: Conclusion): TraceStep[] {
  if (failure === null) return [];
  const { code, sentence, facts } = failure;
  const detail = { [isFinding === true ? "finding" : "failure"]: code, ...(facts === undefined ? {} : { facts }) };
  return [{ at: record.at, direction: "local", exchange: record.exchange, messageId: null, summary: sentence, detail }];
}
