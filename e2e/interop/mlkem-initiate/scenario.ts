import { equal } from "node:assert/strict";
import { expectUp, type Scenario } from "../scenario.ts";

const suite = "aes256gcm16-prfsha384-x25519-ke1_mlkem768";

export const scenario: Scenario = {
  name: "mlkem-initiate",
  description: "x25519 and ML-KEM-768, we initiate: IKE_INTERMEDIATE in fragments, traffic passes both ways",
  needsNewPeer: true,
  async run(context) {
    const peer = await context.startPeer({ isNew: true, connection: { proposals: suite } });
    const us = await context.startUs({ ike: { proposals: [suite] } });
    const { ike } = await expectUp(context, us, peer);
    equal(ike.suite, suite);
  },
};
