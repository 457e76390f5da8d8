import { equal, match } from "node:assert/strict";
import { expectFailure, expectNoTraffic, type Scenario } from "../scenario.ts";

export const scenario: Scenario = {
  name: "psk-fail-respond",
  description: "Another pre-shared key at the peer, the peer initiates: it is told AUTHENTICATION_FAILED, our sentence says that the keys differ",
  async run(context) {
    const peer = await context.startPeer({ secret: "something else" });
    const us = await context.startUs({ initiate: "respond" });
    const { ok, output } = await peer.tryInitiate("net");
    equal(ok, false);
    match(output, /AUTHENTICATION_FAILED|N\(AUTH_FAILED\)/);
    context.note(await expectFailure(us, "AUTHENTICATION_FAILED", /pre-shared key/i));
    await expectNoTraffic(context);
  },
};
