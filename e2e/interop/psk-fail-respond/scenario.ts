import { equal, match } from "node:assert/strict";
import { expectSentence, expectNoTraffic, type Scenario } from "../scenario.ts";

export const scenario: Scenario = {
  name: "psk-fail-respond",
  description: "Another pre-shared key at the peer, the peer initiates: it is told AUTHENTICATION_FAILED, our sentence says that the keys differ",
  async run(context) {
    const peer = await context.startPeer({ secret: "something else" });
    const us = await context.startUs({ initiate: "respond" });
    const { ok, output } = await peer.tryInitiate("net");
    equal(ok, false);
    match(output, /AUTHENTICATION_FAILED|N\(AUTH_FAILED\)/);
    await expectSentence(context, us, "AUTHENTICATION_FAILED", "The pre-shared keys differ: right.example does not prove a key that this side holds.");
    await expectNoTraffic(context);
  },
};
