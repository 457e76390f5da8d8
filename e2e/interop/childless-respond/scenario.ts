import { match } from "node:assert/strict";
import { expectTraffic, expectUp, type Scenario } from "../scenario.ts";

export const scenario: Scenario = {
  name: "childless-respond",
  description: "The peer initiates a childless IKE SA (RFC 6023): we say that we take one, and its Child SA follows with CREATE_CHILD_SA",
  async run(context) {
    const peer = await context.startPeer({ connection: { childless: "force" } });
    const us = await context.startUs({ initiate: "respond" });
    await peer.initiate("net");
    await expectUp(context, us, peer);
    match(peer.log(), /parsed IKE_SA_INIT response 0 \[.*N\(CHDLESS_SUP\)/);
    match(peer.log(), /generating CREATE_CHILD_SA request 2 /);
    await expectTraffic(context);
  },
};
