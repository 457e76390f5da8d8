import { equal } from "node:assert/strict";
import { ping } from "../../lib/traffic.ts";
import { expectUp, type Scenario } from "../scenario.ts";

export const scenario: Scenario = {
  name: "large-packets",
  description: "Packets larger than fit are fragmented before the tunnel, each way; one that must not be is answered with its real limit",
  async run(context) {
    const peer = await context.startPeer();
    const us = await context.startUs();
    await expectUp(context, us, peer);
    const { left, right } = context.net;
    equal((await ping(left, right, { count: 5, payloadBytes: 4_000 })).lost, 0);
    equal((await ping(right, left, { count: 5, payloadBytes: 4_000 })).lost, 0);
    // 1,372 octets of data make a packet of 1,400, the MTU of the peer's own tunnel device.
    equal((await ping(left, right, { count: 5, payloadBytes: 1_372, forbidFragments: true })).lost, 0);
    equal((await ping(left, right, { count: 3, payloadBytes: 1_460, forbidFragments: true })).received, 0);
  },
};
