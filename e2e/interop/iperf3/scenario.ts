import { ok } from "node:assert/strict";
import { throughput } from "../../lib/traffic.ts";
import { expectUp, type Scenario } from "../scenario.ts";

export const scenario: Scenario = {
  name: "iperf3",
  description: "One TCP stream through the tunnel, each way",
  async run(context) {
    const peer = await context.startPeer();
    const us = await context.startUs();
    await expectUp(context, us, peer);
    const { left, right } = context.net;
    const out = await throughput(left, right, { seconds: 2 });
    const back = await throughput(right, left, { seconds: 2 });
    context.note(`${Math.round(out.megabitsPerSecond)} Mbit/s out, ${Math.round(back.megabitsPerSecond)} Mbit/s in`);
    ok(out.bytes > 1_000_000 && back.bytes > 1_000_000, "the stream stalled");
    const { child } = await expectUp(context, us, peer);
    ok(child.bytesOut > out.bytes, "the Child SA did not count what went out");
    ok(child.bytesIn > back.bytes, "the Child SA did not count what came in");
  },
};
