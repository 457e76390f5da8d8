import { equal } from "node:assert/strict";
import { expectUp, type Scenario } from "../scenario.ts";

export const scenario: Scenario = {
  name: "psk-initiate",
  description: "Pre-shared key, we initiate: both ends agree on every SPI, traffic passes both ways",
  async run(context) {
    const peer = await context.startPeer();
    const us = await context.startUs();
    const { ike, child, peerIke } = await expectUp(context, us, peer);
    equal(ike.role, "initiator");
    equal(ike.suite, "aes256gcm16-prfsha384-x25519");
    equal(ike.credentialId, "first");
    equal(ike.remoteIdentity, "right.example");
    equal(peerIke.remoteIdentity, "left.example");
    equal(child.suite, "aes256gcm16");
  },
};
