import { equal, match } from "node:assert/strict";
import { expectSentence, type Scenario } from "../scenario.ts";

export const scenario: Scenario = {
  name: "identity-mismatch",
  description: "The peer calls itself something else than configured: refused, and our sentence names the identity that came",
  async run(context) {
    const peer = await context.startPeer({ connection: { local: { auth: "psk", id: "stranger.example" } } });
    const us = await context.startUs({ initiate: "respond" });
    const { ok, output } = await peer.tryInitiate("net");
    equal(ok, false);
    match(output, /AUTHENTICATION_FAILED|N\(AUTH_FAILED\)/);
    await expectSentence(context, us, "AUTHENTICATION_FAILED", "The peer says it is stranger.example; this side expects right.example.");
  },
};
