import { equal } from "node:assert/strict";
import { expectFailure, expectNoTraffic, type Scenario } from "../scenario.ts";

export const scenario: Scenario = {
  name: "identity-mismatch-initiate",
  description: "We initiate and the peer is somebody else than we ask for: it refuses, our sentence has both names and the key",
  async run(context) {
    const peer = await context.startPeer({ connection: { local: { auth: "psk", id: "stranger.example" } } });
    const us = await context.startUs();
    const sentence = await expectFailure(us, "AUTHENTICATION_FAILED", /./);
    equal(
      sentence,
      'The peer refused to authenticate left.example to right.example: the pre-shared keys differ (the peer does not hold this side\'s key "first"), or it expects other identities.',
    );
    context.note(sentence);
    equal((await peer.listSas()).length, 0);
    await expectNoTraffic(context);
  },
};
