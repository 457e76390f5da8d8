import { parseProposal } from "../ike/negotiation/proposal-keywords.ts";

/** Why these proposal keywords cannot be used, in a sentence; null when they can. */
export function proposalProblem(text: string, protocol: "ike" | "esp" | "ah"): string | null {
  try {
    parseProposal(text, protocol);
    return null;
  } catch (error) {
    if (error instanceof RangeError) return error.message.replace(/\.$/, "");
    throw error;
  }
}
