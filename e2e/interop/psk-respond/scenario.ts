import { equal } from "node:assert/strict";
import { expectUp, type Scenario } from "../scenario.ts";

export const scenario: Scenario = {
  name: "psk-respond",
  description: "Pre-shared key, the peer initiates: both ends agree on every SPI, traffic passes both ways",
  async run(context) {
    const peer = await context.startPeer();
    const us = await context.startUs({ initiate: "respond" });
    await peer.initiate("net");
    const { ike } = await expectUp(context, us, peer);
    equal(ike.role, "responder");
    equal(ike.credentialId, "first");
  },
};
