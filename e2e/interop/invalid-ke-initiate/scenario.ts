import { match } from "node:assert/strict";
import { expectUp, type Scenario } from "../scenario.ts";

export const scenario: Scenario = {
  name: "invalid-ke-initiate",
  description: "We guess the wrong group: after INVALID_KE_PAYLOAD we try again with the peer's",
  async run(context) {
    const peer = await context.startPeer({ connection: { proposals: "aes256gcm16-prfsha384-ecp384" } });
    const us = await context.startUs({ ike: { proposals: ["aes256gcm16-prfsha384-x25519", "aes256gcm16-prfsha384-ecp384"] } });
    const { ike } = await expectUp(context, us, peer);
    match(ike.suite, /ecp384/);
    match(peer.log(), /N\(INVAL_KE\)/);
  },
};
