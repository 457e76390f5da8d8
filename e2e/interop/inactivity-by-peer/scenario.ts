import { equal, match } from "node:assert/strict";
import { pingUntilAnswered } from "../../lib/traffic.ts";
import { expectTraffic, expectUp, linkId, type Scenario } from "../scenario.ts";

export const scenario: Scenario = {
  name: "inactivity-by-peer",
  description: "The peer closes its Child SA after 2 s without traffic: a link on demand of ours rests too, and our next packet brings it back",
  async run(context) {
    const peer = await context.startPeer({ child: { inactivity: "2s" } });
    const us = await context.startUs({ initiate: "onDemand" });
    await pingUntilAnswered(context.net.left, context.net.right, 10_000);
    await expectUp(context, us, peer);
    await us.waitForLink(linkId, "to rest", ({ ikeSas }) => (ikeSas.length === 0 ? true : undefined), 15_000);
    match(peer.log(), /deleting CHILD_SA after \d+ seconds of inactivity/);
    equal((await us.link(linkId)).state, "down");
    equal((await peer.listSas()).length, 0);
    await pingUntilAnswered(context.net.left, context.net.right, 10_000);
    await expectUp(context, us, peer);
    await expectTraffic(context);
    equal((await us.link(linkId)).lastFailure, null);
  },
};
