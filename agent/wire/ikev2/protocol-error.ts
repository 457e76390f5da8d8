import { NotifyType } from "../iana.ts";

/**
 * What to do about a peer's mistake (RFC 7296 §2.21): drop the message silently, answer with an error notify, or also give up
 * the IKE SA. The disposition is the one for an authenticated request; whoever holds an unprotected message or a response may
 * only weaken it to `discard` (§2.21.2–2.21.4).
 */
export type ErrorDisposition = "discard" | "notify" | "deleteSa";

/** The peer broke the protocol. The only error that codecs throw for what came off the wire. */
export class IkeProtocolError extends Error {
  override readonly name = "IkeProtocolError";
  /** The notify message type that tells the peer. */
  override readonly cause: NotifyType;
  readonly disposition: ErrorDisposition;
  /** What was wrong, as a sentence for people; never holds octets of a secret. */
  readonly sentence: string;
  /** Notification data that goes with `cause`, e.g. the type of the critical payload. */
  readonly data: Uint8Array | undefined;

  constructor(cause: NotifyType, disposition: ErrorDisposition, sentence: string, data?: Uint8Array) {
    super(sentence);
    this.cause = cause;
    this.disposition = disposition;
    this.sentence = sentence;
    this.data = data;
  }
}

/** A malformed message whose header could be read: answered with INVALID_SYNTAX when it was authenticated. */
export function invalidSyntax(sentence: string): IkeProtocolError {
  return new IkeProtocolError(NotifyType.INVALID_SYNTAX, "notify", sentence);
}

/** Throws INVALID_SYNTAX unless `bytes` has at least `length` octets. */
export function requireOctets(bytes: Uint8Array, length: number, what: string): void {
  if (bytes.length < length) throw invalidSyntax(`${what} needs ${length} octets and has ${bytes.length}.`);
}
