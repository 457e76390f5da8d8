import { equal, ok } from "node:assert/strict";
import { expectFitted, narrow, pathMtuOf } from "../path-mtu.ts";
import { expectUp, withoutLoss, type Scenario } from "../scenario.ts";

export const scenario: Scenario = {
  name: "path-mtu-silent",
  description:
    "A router takes 1,400 octets and drops what is larger without a word: probes that strongSwan answers find it out, to 16 octets, the IKE SA stays, 0 lost",
  async run(context) {
    await narrow(context.net, 1_400, true);
    const peer = await context.startPeer();
    const us = await context.startUs();
    const first = await expectUp(context, us, peer);
    const began = performance.now();
    const found = await withoutLoss(context, () => pathMtuOf(us));
    context.note(`${found} octets, found after ${((performance.now() - began) / 1_000).toFixed(1)} s`);
    ok(found <= 1_400 && found > 1_384, `${found} octets`);
    await expectFitted(context, us, context.net.left, context.net.right);
    equal((await expectUp(context, us, peer)).ike.spiI, first.ike.spiI);
  },
};
