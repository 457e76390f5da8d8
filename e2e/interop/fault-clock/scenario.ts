import { deepEqual } from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { startUsMortal } from "../plane-fault.ts";
import { expectNewChild, expectTraffic, expectUp, linkId, withoutLoss, type Scenario } from "../scenario.ts";

const DAY_MS = 86_400_000;

export const scenario: Scenario = {
  name: "fault-clock",
  description: "Our machine's clock is set a day forwards, then two days back: no SA ends or is rekeyed by it, 0 lost, and rekeys still work",
  async run(context) {
    const peer = await context.startPeer();
    const us = await startUsMortal(context);
    const first = await expectUp(context, us, peer);
    const set = (milliseconds: number) => writeFileSync(join(context.directory, "clock"), String(milliseconds));
    await withoutLoss(context, async () => {
      for (const step of [DAY_MS, -DAY_MS]) {
        set(step);
        await expectTraffic(context);
        const { ike, child } = await us.waitUntilUp(linkId);
        deepEqual([ike.spiI, child.inboundSpi], [first.ike.spiI, first.child.inboundSpi]);
      }
      await us.rekey(linkId, "child");
      await expectNewChild(us, first.child.inboundSpi);
    });
    await expectUp(context, us, peer);
  },
};
