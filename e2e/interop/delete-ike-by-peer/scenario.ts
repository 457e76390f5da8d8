import { notEqual } from "node:assert/strict";
import { expectUp, type Scenario } from "../scenario.ts";

export const scenario: Scenario = {
  name: "delete-ike-by-peer",
  description: "The peer deletes the IKE SA: we answer, and bring the link up again because it is to be kept up",
  async run(context) {
    const peer = await context.startPeer();
    const us = await context.startUs();
    const before = await expectUp(context, us, peer);
    await peer.terminate({ ike: "site" });
    const after = await expectUp(context, us, peer, 20_000);
    notEqual(after.ike.spiI, before.ike.spiI);
  },
};
