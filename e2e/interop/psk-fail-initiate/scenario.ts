import { expectFailure, expectNoTraffic, type Scenario } from "../scenario.ts";

export const scenario: Scenario = {
  name: "psk-fail-initiate",
  description: "Another pre-shared key at the peer, we initiate: refused, and our sentence says that the keys differ",
  async run(context) {
    await context.startPeer({ secret: "something else" });
    const us = await context.startUs();
    const sentence = await expectFailure(us, "AUTHENTICATION_FAILED", /pre-shared key/i);
    context.note(sentence);
    await expectNoTraffic(context);
  },
};
