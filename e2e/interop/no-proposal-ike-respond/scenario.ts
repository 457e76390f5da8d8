import { equal, match } from "node:assert/strict";
import { defaultIkeProposals } from "../../../contract/proposals.ts";
import { expectSentence, type Scenario } from "../scenario.ts";

export const scenario: Scenario = {
  name: "no-proposal-ike-respond",
  description: "No common IKE suite, the peer initiates: it is told NO_PROPOSAL_CHOSEN, our sentence holds both lists",
  async run(context) {
    const peer = await context.startPeer({ connection: { proposals: "aes128-sha256-modp2048" } });
    const us = await context.startUs({ initiate: "respond" });
    const { ok, output } = await peer.tryInitiate("net");
    equal(ok, false);
    match(output, /NO_PROPOSAL_CHOSEN|N\(NO_PROP\)/);
    const ours = defaultIkeProposals.join(", ");
    const sentence = `No common IKE proposal: the peer offers aes128-sha256-prfsha256-modp2048; this side allows ${ours} (encryption: offered aes128, allowed aes256).`;
    await expectSentence(context, us, "NO_PROPOSAL_CHOSEN", sentence);
  },
};
