import { equal } from "node:assert/strict";
import { expectUp, type Scenario } from "../scenario.ts";

const suite = "aes256gcm16-prfsha384-x25519-ke1_mlkem768";

export const scenario: Scenario = {
  name: "mlkem-respond",
  description: "x25519 and ML-KEM-768, the peer initiates: traffic passes both ways",
  needsNewPeer: true,
  async run(context) {
    const peer = await context.startPeer({ isNew: true, connection: { proposals: suite } });
    const us = await context.startUs({ initiate: "respond", ike: { proposals: [suite] } });
    await peer.initiate("net");
    const { ike } = await expectUp(context, us, peer);
    equal(ike.suite, suite);
  },
};
