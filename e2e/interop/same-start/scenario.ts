import { pollUntil } from "../../lib/poll.ts";
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
    let seen = "";
    await pollUntil(
      "both ends to hold the same IKE SAs",
      10_000,
      async () => {
        const ours = (await us.link(linkId)).ikeSas.map(({ spiI }) => spiI).sort();
        const theirs = (await peer.listSas()).map(({ spiI }) => spiI).sort();
        seen = `${ours.join(" ")} here, ${theirs.join(" ")} there`;
        return ours.length > 0 && ours.join() === theirs.join() ? true : undefined;
      },
      () => seen,
    );
    context.note(`${(await us.link(linkId)).ikeSas.length} IKE SAs`);
  },
};
