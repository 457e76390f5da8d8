import { equal, ok } from "node:assert/strict";
import { expectUp, type Scenario } from "../scenario.ts";

export const scenario: Scenario = {
  name: "crash-of-ours",
  description: "Our gateway is killed and started again: it takes its state from disk, says INITIAL_CONTACT, and is up within 10 s",
  async run(context) {
    const peer = await context.startPeer();
    const us = await context.startUs();
    await expectUp(context, us, peer);
    await us.kill();
    const started = performance.now();
    const again = await context.startUs();
    await expectUp(context, again, peer, 10_000);
    const seconds = (performance.now() - started) / 1_000;
    context.note(`up again after ${seconds.toFixed(1)} s`);
    ok(seconds < 10);
    equal((await peer.listSas()).length, 1, "the peer still holds the SA of before the crash");
  },
};
