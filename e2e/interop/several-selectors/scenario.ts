import { deepEqual } from "node:assert/strict";
import { addInside } from "../../lib/addresses.ts";
import { expectNewChild, expectTraffic, expectUp, linkId, type Scenario } from "../scenario.ts";

const left = ["10.1.0.0/24", "10.11.0.0/24"];
const right = ["10.2.0.0/24", "10.12.0.0/24", "10.13.0.0/24"];

export const scenario: Scenario = {
  name: "several-selectors",
  description: "One Child SA for two networks here and three there: each reaches each, before and after a rekey from both ends",
  async run(context) {
    const { net } = context;
    const lefts = [net.left, await addInside(net.left, "10.11.0.1/24")];
    const rights = [net.right, await addInside(net.right, "10.12.0.1/24"), await addInside(net.right, "10.13.0.1/24")];
    const everywhere = async () => {
      for (const one of lefts) for (const other of rights) await expectTraffic({ net: { ...net, left: one, right: other } });
    };
    const peer = await context.startPeer({ child: { local_ts: right, remote_ts: left } });
    const us = await context.startUs({ children: [{ name: "net", localNetworks: left, remoteNetworks: right }] });
    const first = await expectUp(context, us, peer);
    deepEqual([first.child.localNetworks, first.child.remoteNetworks], [left, right]);
    await everywhere();
    await us.rekey(linkId, "child");
    await expectNewChild(us, first.child.inboundSpi);
    const second = await expectUp(context, us, peer);
    await peer.rekey({ child: "net" });
    await expectNewChild(us, second.child.inboundSpi);
    const { child, peerChild } = await expectUp(context, us, peer);
    deepEqual([child.localNetworks, child.remoteNetworks], [left, right]);
    deepEqual([peerChild.remoteSelectors, peerChild.localSelectors], [left, right]);
    await everywhere();
  },
};
