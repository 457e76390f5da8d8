import { equal, notEqual } from "node:assert/strict";
import { expectUp, type Scenario } from "../scenario.ts";

export const scenario: Scenario = {
  name: "delete-child-by-peer",
  description: "The peer deletes the Child SA: we delete our half and bring a new one up inside the same IKE SA",
  async run(context) {
    const peer = await context.startPeer();
    const us = await context.startUs();
    const before = await expectUp(context, us, peer);
    await peer.terminate({ child: "net" });
    const after = await expectUp(context, us, peer, 20_000);
    notEqual(after.child.inboundSpi, before.child.inboundSpi);
    equal(after.ike.spiI, before.ike.spiI, "the IKE SA should have stayed");
  },
};
