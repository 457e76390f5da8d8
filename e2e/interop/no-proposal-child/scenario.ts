import { equal, match } from "node:assert/strict";
import { defaultEspProposals } from "../../../contract/proposals.ts";
import { expectNoTraffic, expectSentence, type Scenario } from "../scenario.ts";

export const scenario: Scenario = {
  name: "no-proposal-child",
  description: "No common ESP suite, the peer initiates: it is told NO_PROPOSAL_CHOSEN for the Child SA, our sentence holds both lists",
  async run(context) {
    const peer = await context.startPeer({ child: { esp_proposals: "aes128-sha256" } });
    const us = await context.startUs({ initiate: "respond" });
    const { ok, output } = await peer.tryInitiate("net");
    equal(ok, false);
    match(output, /NO_PROPOSAL_CHOSEN|N\(NO_PROP\)/);
    const ours = defaultEspProposals.join(", ");
    const sentence = `No common ESP proposal: the peer offers aes128-sha256; this side allows ${ours} (encryption: offered aes128, allowed aes256).`;
    await expectSentence(context, us, "NO_PROPOSAL_CHOSEN", sentence);
    await expectNoTraffic(context);
  },
};
