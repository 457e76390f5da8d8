import type { Payload } from "../../wire/ikev2/message-types.ts";
import type { LinkConfig } from "../endpoint-types.ts";
import type { ProposalSpec } from "../negotiation/proposal-keywords.ts";
import type { Failure } from "./failure.ts";

/** What followed from a message, or was concluded without one. */
export interface Conclusion {
  readonly sentence: string;
  readonly failure: Failure | null;
  /** It went on all the same. */
  readonly isFinding?: boolean;
  /** Taken from the trace, since it cannot be computed from it. */
  readonly isRecorded?: boolean;
}

/** One IKE SA's negotiation, and what has to be remembered of it. */
export interface Conversation {
  /** Payloads of our requests by message id. */
  readonly asked: Map<number, readonly Payload[]>;
  /** How often the responder has sent us back for a cookie or another group. */
  rounds: number;
  /** An unauthenticated error of IKE_SA_INIT: believed only when nothing better comes (RFC 7296 §2.21.1). */
  hint: { readonly step: number; readonly conclusion: Conclusion } | null;
}

export interface ReplayContext {
  readonly config: LinkConfig;
  readonly ike: readonly ProposalSpec[];
  readonly esp: readonly ProposalSpec[];
}

export const concluded = (sentence: string): Conclusion => ({ sentence, failure: null });
export const failed = (failure: Failure): Conclusion => ({ sentence: failure.sentence, failure });
