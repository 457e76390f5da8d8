import { type TracedEnd, verdict } from "../ike/diagnosis/verdict.ts";

/* The console's other door to the engine (docs/adr/0006): what two gateways' traces of one link say together. */

export type { TracedEnd };

export interface LinkVerdict {
  readonly code: string;
  /** One sentence that names both sites and what to change. */
  readonly sentence: string;
  /** A Child SA has come up since at every end that had failed. */
  readonly isOver: boolean;
}

/** What went wrong last, by the traces of both ends, oldest step first; null: nothing did. */
export function verdictOfTraces(a: TracedEnd, b: TracedEnd): LinkVerdict | null {
  const found = verdict(a, b);
  return found === null ? null : { ...found, isOver: [a, b].every(({ trace }) => isOver(trace)) };
}

function isOver(trace: TracedEnd["trace"]): boolean {
  if (trace === null) return true;
  const failed = trace.findLastIndex((step) => typeof step.detail["failure"] === "string");
  return failed === -1 || trace.slice(failed + 1).some((step) => step.exchange === "CHILD_SA" && typeof step.detail["childSaId"] === "string");
}
