import { NotifyType } from "../../wire/iana.ts";
import type { PayloadOf } from "../../wire/ikev2/message-types.ts";
import type { Failure } from "./failure.ts";

/* What the peer's error notify means, when it has no values of its own to compare. */

/** `exchange`: the message of ours that was refused. */
export function refusedByNotify(exchange: string, error: Pick<PayloadOf<"notify">, "type" | "data">): Failure {
  const name = notifyName(error.type);
  const payloadType = error.type === NotifyType.UNSUPPORTED_CRITICAL_PAYLOAD && error.data.length === 1 ? error.data[0]! : null;
  return { code: name, sentence: sentenceOf(exchange, name, error.type, payloadType), facts: { cause: "notifyRefused", exchange, notify: name, payloadType } };
}

/** A message of the peer that breaks the protocol: what this side found in it. */
export function brokenByPeer(exchange: string, error: { readonly cause: number; readonly sentence: string; readonly data?: Uint8Array | undefined }): Failure {
  const code = notifyName(error.cause);
  if (error.cause === NotifyType.UNSUPPORTED_CRITICAL_PAYLOAD) {
    const payloadType = error.data?.[0] ?? 0;
    return {
      code,
      sentence: `The peer's ${exchange} cannot be read: ${lowerFirst(error.sentence)}`,
      facts: { cause: "criticalPayload", exchange, payloadType },
    };
  }
  if (error.cause !== NotifyType.INVALID_SYNTAX) return { code, sentence: error.sentence };
  return {
    code,
    sentence: `The peer's ${exchange} breaks the protocol: ${lowerFirst(error.sentence)}`,
    facts: { cause: "syntax", exchange, reason: error.sentence },
  };
}

export function notifyName(type: number): string {
  for (const [name, value] of Object.entries(NotifyType)) if (value === type) return name;
  return `notify ${type}`;
}

function sentenceOf(exchange: string, name: string, type: number, payloadType: number | null): string {
  switch (type) {
    case NotifyType.INVALID_SYNTAX:
      return `The peer could not read this side's ${exchange} (INVALID_SYNTAX): one of the two breaks the protocol, or something on the path changes messages.`;
    case NotifyType.UNSUPPORTED_CRITICAL_PAYLOAD:
      return `The peer does not know a payload that this side's ${exchange} marks as critical${payloadType === null ? "" : ` (type ${payloadType})`}.`;
    case NotifyType.INVALID_MAJOR_VERSION:
      return "The peer does not speak IKE version 2.";
    case NotifyType.NO_ADDITIONAL_SAS:
      return `The peer takes no further SA on this IKE SA (${name}).`;
    default:
      return `The peer refused this side's ${exchange} with ${name}.`;
  }
}

/** Sentences of the codecs start with an article or a name in capitals; only the article changes. */
export function lowerFirst(sentence: string): string {
  return /^(The|An|A|This) /.test(sentence) ? sentence[0]!.toLowerCase() + sentence.slice(1) : sentence;
}
