import { equal, match } from "node:assert/strict";
import { expectFailure, expectNoTraffic, type Scenario } from "../scenario.ts";

export const scenario: Scenario = {
  name: "no-proposal-child",
  description: "No common ESP suite, the peer initiates: it is told NO_PROPOSAL_CHOSEN for the Child SA, our sentence holds both lists",
  async run(context) {
    const peer = await context.startPeer({ child: { esp_proposals: "aes128-sha256" } });
    const us = await context.startUs({ initiate: "respond" });
    const { ok, output } = await peer.tryInitiate("net");
    equal(ok, false);
    match(output, /NO_PROPOSAL_CHOSEN|N\(NO_PROP\)/);
    const sentence = await expectFailure(us, "NO_PROPOSAL_CHOSEN", /aes256gcm16/);
    match(sentence, /aes128-sha256/);
    context.note(sentence);
    await expectNoTraffic(context);
  },
};
