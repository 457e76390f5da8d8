import { deepEqual } from "node:assert/strict";
import { expectNewChild, expectUp, linkId, withoutLoss, type Scenario } from "../scenario.ts";

export const scenario: Scenario = {
  name: "narrowing-by-us",
  description: "The peer offers wider networks than we allow: the Child SA has ours, and traffic passes, also rekeyed from both ends with 0 lost",
  async run(context) {
    const peer = await context.startPeer({ child: { local_ts: "10.2.0.0/16", remote_ts: "10.1.0.0/16" } });
    const us = await context.startUs({ initiate: "respond" });
    await peer.initiate("net");
    const narrowed = async () => {
      const { child, peerChild } = await expectUp(context, us, peer);
      deepEqual([child.localNetworks, child.remoteNetworks], [["10.1.0.0/24"], ["10.2.0.0/24"]]);
      deepEqual([peerChild.remoteSelectors, peerChild.localSelectors], [["10.1.0.0/24"], ["10.2.0.0/24"]]);
      return child.inboundSpi;
    };
    const first = await narrowed();
    await withoutLoss(context, async () => {
      await us.rekey(linkId, "child");
      await expectNewChild(us, first);
      const second = await narrowed();
      await peer.rekey({ child: "net" });
      await expectNewChild(us, second);
    });
    await narrowed();
  },
};
