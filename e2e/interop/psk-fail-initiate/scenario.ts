import { expectSentence, expectNoTraffic, type Scenario } from "../scenario.ts";

export const scenario: Scenario = {
  name: "psk-fail-initiate",
  description: "Another pre-shared key at the peer, we initiate: refused, and our sentence says that the keys differ",
  async run(context) {
    await context.startPeer({ secret: "something else" });
    const us = await context.startUs();
    const sentence =
      'The peer refused to authenticate left.example to right.example: the pre-shared keys differ (the peer does not hold this side\'s key "first"), or it expects other identities.';
    await expectSentence(context, us, "AUTHENTICATION_FAILED", sentence);
    await expectNoTraffic(context);
  },
};
