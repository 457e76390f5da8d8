import { expectTraffic, linkId, withoutLoss, type Scenario } from "../scenario.ts";

export const scenario: Scenario = {
  name: "same-start",
  description: "Both ends initiate at the same moment: the link comes up, traffic passes, and both ends hold the same SAs",
  async run(context) {
    const peer = await context.startPeer();
    const us = await context.startUs({ initiate: "respond" });
    await Promise.all([us.up(linkId), peer.tryInitiate("net")]);
    await us.waitUntilUp(linkId);
    await withoutLoss(context, () => expectTraffic(context));
    context.note(`${(await us.link(linkId)).ikeSas.length} IKE SAs here, ${(await peer.listSas()).length} there`);
  },
};
