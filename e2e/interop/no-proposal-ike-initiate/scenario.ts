import { defaultIkeProposals } from "../../../contract/proposals.ts";
import { expectSentence, type Scenario } from "../scenario.ts";

export const scenario: Scenario = {
  name: "no-proposal-ike-initiate",
  description: "No common IKE suite, we initiate: our sentence names what we offered",
  async run(context) {
    await context.startPeer({ connection: { proposals: "aes128-sha256-modp2048" } });
    const us = await context.startUs();
    const ours = defaultIkeProposals.join(", ");
    await expectSentence(
      context,
      us,
      "NO_PROPOSAL_CHOSEN",
      `The peer accepts none of the IKE proposals that this side offered: ${ours}. Or it has no link for this gateway: it may be down there, deleted, not applied yet, or between other addresses.`,
    );
  },
};
