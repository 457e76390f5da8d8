import type { Link } from "../ike-sa.ts";
import { traceChoice } from "../trace.ts";
import { emitEvent, type Turn } from "../turn.ts";

/** What went wrong, as the trace and the link page say it: the protocol's own name for it and ONE plain sentence. */
export interface Failure {
  readonly code: string;
  readonly sentence: string;
}

/** Remembers the failure on its link (if it is known), tells whoever listens, and leaves it in the trace. */
export function recordFailure(turn: Turn, linkId: string | null, exchange: string, failure: Failure): void {
  const link: Link | undefined = linkId === null ? undefined : turn.engine.links.get(linkId);
  if (link !== undefined) link.lastFailure = { at: turn.now, ...failure };
  traceChoice(turn, linkId, exchange, failure.sentence, { failure: failure.code });
  emitEvent(turn, { kind: "failed", linkId, ...failure });
}
