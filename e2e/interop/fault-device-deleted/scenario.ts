import { deepEqual, ok } from "node:assert/strict";
import { pollUntil } from "../../lib/poll.ts";
import { outageOf } from "../plane-fault.ts";
import { expectUp, type Scenario } from "../scenario.ts";

export const scenario: Scenario = {
  name: "fault-device-deleted",
  description: "Our TUN device is deleted under traffic: it is made again with its routes, under the same SAs, within 3 s",
  async run(context) {
    const { left } = context.net;
    const peer = await context.startPeer();
    const us = await context.startUs();
    const first = await expectUp(context, us, peer);
    const routes = await left.run(["ip", "route", "show", "proto", "213"]);
    ok(routes.includes("10.2.0.0/24 dev culvert0"), routes);
    const { outageMs } = await outageOf(
      context,
      async () => void (await left.run(["ip", "link", "del", "culvert0"])),
      () => pollUntil("the routes to be back", 3_000, async () => ((await left.run(["ip", "route", "show", "proto", "213"])) === routes ? true : undefined)),
    );
    ok(outageMs < 3_000, `back after ${outageMs} ms`);
    const now = await expectUp(context, us, peer);
    deepEqual([now.ike.spiI, now.child.inboundSpi, now.child.outboundSpi], [first.ike.spiI, first.child.inboundSpi, first.child.outboundSpi]);
  },
};
