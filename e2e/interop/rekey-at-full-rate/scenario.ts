import { ok } from "node:assert/strict";
import { countedFlow } from "../counted-rekeys.ts";
import { expectNewChild, linkId, type Scenario } from "../scenario.ts";

const REKEYS = 20;

export const scenario: Scenario = {
  name: "rekey-at-full-rate",
  description:
    "Our gateway at both ends: 20 Child SAs rekeyed by either end in turn while numbered datagrams go as fast as they can: none lost, none twice, all in order",
  async run(context) {
    const right = await context.startUsAtRight();
    const left = await context.startUs();
    let { inboundSpi } = (await left.waitUntilUp(linkId)).child;
    await right.waitUntilUp(linkId);
    const { sent } = await countedFlow(context, async () => {
      for (let times = 0; times < REKEYS; times++) {
        await (times % 2 === 0 ? left : right).rekey(linkId, "child");
        ({ inboundSpi } = await expectNewChild(left, inboundSpi));
        await right.waitUntilUp(linkId);
      }
    });
    ok(sent > 5_000, `only ${sent} were sent`);
  },
};
