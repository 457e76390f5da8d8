import { match } from "node:assert/strict";
import { expectUp, type Scenario } from "../scenario.ts";

export const scenario: Scenario = {
  name: "invalid-ke-respond",
  description: "The peer guesses the wrong group: it accepts our INVALID_KE_PAYLOAD and tries again with ours",
  async run(context) {
    const peer = await context.startPeer({ connection: { proposals: "aes256gcm16-prfsha384-x25519-ecp384" } });
    const us = await context.startUs({ initiate: "respond", ike: { proposals: ["aes256gcm16-prfsha384-ecp384"] } });
    await peer.initiate("net");
    const { ike } = await expectUp(context, us, peer);
    match(ike.suite, /ecp384/);
    match(peer.log(), /N\(INVAL_KE\)/);
  },
};
