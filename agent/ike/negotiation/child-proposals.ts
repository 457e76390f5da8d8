import type { LinkConfig } from "../endpoint-types.ts";
import { parseProposal, type ProposalSpec } from "./proposal-keywords.ts";

/** What a link offers and allows for its Child SAs: AH where it is configured, else ESP. Throws RangeError as `parseProposal` does. */
export function childProposals({ espProposals, ahProposals }: Pick<LinkConfig, "espProposals" | "ahProposals">): ProposalSpec[] {
  return ahProposals === undefined ? espProposals.map((text) => parseProposal(text, "esp")) : ahProposals.map((text) => parseProposal(text, "ah"));
}
