import { notEqual } from "node:assert/strict";
import { expectUp, linkId, withoutLoss, type Scenario } from "../scenario.ts";

export const scenario: Scenario = {
  name: "reauthenticate-by-us",
  description: "We authenticate anew, make before break: a new IKE SA and Child SA, then the old ones are deleted, 0 lost",
  async run(context) {
    const peer = await context.startPeer();
    const us = await context.startUs();
    const before = await expectUp(context, us, peer);
    await withoutLoss(
      context,
      async () => {
        await us.command({ name: "reauthenticate", linkId });
        await us.waitForLink(linkId, "only the new IKE SA", ({ ikeSas }) => (ikeSas.length === 1 && ikeSas[0]?.spiI !== before.ike.spiI ? true : undefined));
      },
      100,
    );
    const after = await expectUp(context, us, peer);
    notEqual(after.child.inboundSpi, before.child.inboundSpi);
  },
};
