import { equal } from "node:assert/strict";
import { expectFitted, narrow, pathMtuOf } from "../path-mtu.ts";
import { linkId, type Scenario } from "../scenario.ts";

export const scenario: Scenario = {
  name: "path-mtu-ours",
  description: "Our gateway at both ends of a path that takes 1,300 octets: each finds its own direction",
  async run(context) {
    await narrow(context.net, 1_300, false);
    const right = await context.startUsAtRight();
    const left = await context.startUs();
    await left.waitUntilUp(linkId);
    await right.waitUntilUp(linkId);
    equal(await pathMtuOf(left), 1_300);
    equal(await pathMtuOf(right), 1_300);
    await expectFitted(context, left, context.net.left, context.net.right);
    await expectFitted(context, right, context.net.right, context.net.left);
  },
};
