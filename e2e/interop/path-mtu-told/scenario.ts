import { equal } from "node:assert/strict";
import { expectFitted, narrow, pathMtuOf } from "../path-mtu.ts";
import { expectNewChild, expectUp, linkId, type Scenario } from "../scenario.ts";

export const scenario: Scenario = {
  name: "path-mtu-told",
  description: "A router between the sites takes 1,400 octets and says so: our gateway keeps to that, tells the inside and clamps TCP, also after a rekey",
  async run(context) {
    await narrow(context.net, 1_400, false);
    const peer = await context.startPeer();
    const us = await context.startUs();
    const first = await expectUp(context, us, peer);
    equal(await pathMtuOf(us), 1_400);
    await expectFitted(context, us, context.net.left, context.net.right);
    await us.rekey(linkId, "all");
    await expectNewChild(us, first.child.inboundSpi);
    await expectUp(context, us, peer);
    equal(await pathMtuOf(us), 1_400);
    await expectFitted(context, us, context.net.left, context.net.right);
  },
};
