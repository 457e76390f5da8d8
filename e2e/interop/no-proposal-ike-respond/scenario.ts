import { equal, match } from "node:assert/strict";
import { expectFailure, type Scenario } from "../scenario.ts";

export const scenario: Scenario = {
  name: "no-proposal-ike-respond",
  description: "No common IKE suite, the peer initiates: it is told NO_PROPOSAL_CHOSEN, our sentence holds both lists",
  async run(context) {
    const peer = await context.startPeer({ connection: { proposals: "aes128-sha256-modp2048" } });
    const us = await context.startUs({ initiate: "respond" });
    const { ok, output } = await peer.tryInitiate("net");
    equal(ok, false);
    match(output, /NO_PROPOSAL_CHOSEN|N\(NO_PROP\)/);
    const sentence = await expectFailure(us, "NO_PROPOSAL_CHOSEN", /aes256gcm16-prfsha384-x25519/);
    match(sentence, /aes128-\S*sha256\S*-modp2048/);
    context.note(sentence);
  },
};
