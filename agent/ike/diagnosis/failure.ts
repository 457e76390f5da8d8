import { traceChoice } from "../trace.ts";
import { emitEvent, linkById, type Turn } from "../turn.ts";
import type { Facts } from "./facts.ts";

/** What went wrong, as the trace and the link page say it: the protocol's own name for it and ONE plain sentence. */
export interface Failure {
  readonly code: string;
  readonly sentence: string;
  /** The values behind the sentence: what `verdict` reads from the traces of both ends. */
  readonly facts?: Facts;
}

/** Remembers the failure on its link (if it is known), tells whoever listens, and leaves it in the trace. */
export function recordFailure(turn: Turn, linkId: string | null, exchange: string, failure: Failure): void {
  const link = linkById(turn, linkId);
  const { code, sentence, facts } = failure;
  if (link !== null) link.lastFailure = { at: turn.now, code, sentence };
  traceChoice(turn, linkId, exchange, sentence, { failure: code, ...(facts === undefined ? {} : { facts }) });
  emitEvent(turn, { kind: "failed", linkId, code, sentence });
}

/** What works and is not as it should be: it stays in the trace and is the verdict only when nothing has failed. */
export function traceFinding(turn: Turn, linkId: string | null, exchange: string, finding: Failure): void {
  traceChoice(turn, linkId, exchange, finding.sentence, { finding: finding.code, ...(finding.facts === undefined ? {} : { facts: finding.facts }) });
}
