import { match } from "node:assert/strict";
import { expectTraffic, expectUp, type Scenario } from "../scenario.ts";

export const scenario: Scenario = {
  name: "childless-initiate",
  description: "The peer insists on a childless IKE SA (RFC 6023) and we initiate: IKE_AUTH without a Child SA, which CREATE_CHILD_SA makes",
  async run(context) {
    const peer = await context.startPeer({ connection: { childless: "force" } });
    const us = await context.startUs({ ike: { proposals: ["aes256gcm16-prfsha384-x25519"], childless: true } });
    await expectUp(context, us, peer);
    match(peer.log(), /parsed IKE_AUTH request 1 \[ (?!.* SA ).*AUTH/);
    match(peer.log(), /parsed CREATE_CHILD_SA request 2 /);
    await expectTraffic(context);
  },
};
