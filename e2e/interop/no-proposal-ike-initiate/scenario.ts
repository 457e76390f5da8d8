import { match } from "node:assert/strict";
import { expectFailure, type Scenario } from "../scenario.ts";

export const scenario: Scenario = {
  name: "no-proposal-ike-initiate",
  description: "No common IKE suite, we initiate: our sentence names what we offered",
  async run(context) {
    await context.startPeer({ connection: { proposals: "aes128-sha256-modp2048" } });
    const us = await context.startUs();
    const sentence = await expectFailure(us, "NO_PROPOSAL_CHOSEN", /./);
    match(sentence, /aes256gcm16-prfsha384-x25519/);
    context.note(sentence);
  },
};
