import { randomBytes } from "node:crypto";
import { desiredState } from "../../contract/desired-state.ts";
import { checkState } from "../runtime/state-checks.ts";
import { type PreflightResult, preflight } from "./preflight.ts";

/*
 * The one door from the console to the engine (docs/adr/0006): a pure call in the console's own process. What comes back holds
 * no secret.
 */

export type { PreflightResult };

/** Where a draft's gateway speaks from, and what it would be told. `state` is parsed here. */
export interface ConsoleDraft {
  readonly site: string;
  readonly state: unknown;
}

/**
 * What the two gateways would agree on about their only links, or why they would not. Throws ZodError for a state that is none.
 * Takes some milliseconds of CPU, with the largest MODP groups a second.
 */
export function preflightDrafts(a: ConsoleDraft, b: ConsoleDraft): PreflightResult {
  const drafts = [a, b].map((draft) => ({ site: draft.site, state: desiredState.parse(draft.state) }));
  for (const { site, state } of drafts) {
    const problem = checkState(state).find((one) => one.severity === "error");
    if (problem !== undefined)
      return { outcome: "refused", code: "CONFIGURATION", sentence: `${site} would refuse the link: ${problem.reason}; ${problem.advice}.` };
  }
  const [first, second] = drafts.map(({ site, state }) => {
    const [link, another] = state.links;
    if (link === undefined || another !== undefined) throw new Error("a draft has one link");
    return { site, gateway: state.gateway, link };
  });
  if (first === undefined || second === undefined) throw new Error("a preflight has two ends");
  return preflight(first, second, Date.now(), { bytes: (length) => new Uint8Array(randomBytes(length)) });
}
