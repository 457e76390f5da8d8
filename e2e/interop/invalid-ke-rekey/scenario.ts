import { match } from "node:assert/strict";
import { expectNewChild, expectUp, linkId, withoutLoss, type Scenario } from "../scenario.ts";

export const scenario: Scenario = {
  name: "invalid-ke-rekey",
  description: "Another group than ours at the Child SA's rekey, from both ends: retried with the right group, 0 lost",
  async run(context) {
    const peer = await context.startPeer({ child: { esp_proposals: "aes256gcm16-ecp384-ecp256" } });
    const us = await context.startUs({ esp: { proposals: ["aes256gcm16-x25519", "aes256gcm16-ecp256"] } });
    const first = await expectUp(context, us, peer);
    await withoutLoss(context, async () => {
      await us.rekey(linkId, "child");
      await expectNewChild(us, first.child.inboundSpi);
      const second = await expectUp(context, us, peer);
      match(second.child.suite, /ecp256/);
      await peer.rekey({ child: "net" });
      await expectNewChild(us, second.child.inboundSpi);
    });
    const { child } = await expectUp(context, us, peer);
    match(child.suite, /ecp256/);
    match(peer.log(), /N\(INVAL_KE\)/);
  },
};
