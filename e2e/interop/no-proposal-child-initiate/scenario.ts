import { equal } from "node:assert/strict";
import { expectFailure, expectNoTraffic, linkId, type Scenario } from "../scenario.ts";

export const scenario: Scenario = {
  name: "no-proposal-child-initiate",
  description: "No common ESP suite, we initiate: the IKE SA stands without a Child SA, and our sentence names what we offered",
  async run(context) {
    const peer = await context.startPeer({ child: { esp_proposals: "aes128-sha256" } });
    const us = await context.startUs({ esp: { proposals: ["aes256gcm16-x25519"] } });
    const sentence = await expectFailure(us, "NO_PROPOSAL_CHOSEN", /./);
    // IKE_AUTH carries no group for its Child SA (RFC 7296 §1.2).
    equal(sentence, "The peer accepts none of the ESP proposals that this side offered: aes256gcm16.");
    context.note(sentence);
    equal((await us.link(linkId)).state === "up", false);
    equal((await peer.listSas()).flatMap(({ children }) => children).length, 0);
    await expectNoTraffic(context);
  },
};
