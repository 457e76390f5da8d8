import { deepEqual, ok } from "node:assert/strict";
import { throughput } from "../../lib/traffic.ts";
import { expectNewChild, expectTraffic, linkId, withoutLoss, type Scenario } from "../scenario.ts";

export const scenario: Scenario = {
  name: "ours-both-ends",
  description: "Our gateway at both ends: ML-KEM-768 by default, every kind of rekey from either end with 0 lost, one TCP stream",
  async run(context) {
    const right = await context.startUsAtRight();
    const left = await context.startUs();
    const first = await left.waitUntilUp(linkId);
    await right.waitUntilUp(linkId);
    await expectTraffic(context);
    await withoutLoss(context, async () => {
      let { inboundSpi } = first.child;
      for (const end of [left, right]) {
        await end.rekey(linkId, "child");
        ({ inboundSpi } = await expectNewChild(left, inboundSpi));
        const { ike } = await end.waitUntilUp(linkId);
        await end.rekey(linkId, "ike");
        await left.waitForLink(linkId, "a new IKE SA", ({ ikeSas }) =>
          ikeSas.some((sa) => sa.state === "established" && sa.spiI !== ike.spiI) ? true : undefined,
        );
        await left.waitUntilUp(linkId);
        await right.waitUntilUp(linkId);
      }
    });
    const ends = [await left.waitUntilUp(linkId), await right.waitUntilUp(linkId)];
    deepEqual([ends[0]?.child.inboundSpi, ends[0]?.child.outboundSpi], [ends[1]?.child.outboundSpi, ends[1]?.child.inboundSpi]);
    // The rekeyed ones too: nothing was said about proposals.
    for (const end of ends) {
      deepEqual([end.ike.suite, end.ike.postQuantum], ["aes256gcm16-prfsha384-x25519-ke1_mlkem768", true]);
      deepEqual(end.child.suite, "aes256gcm16-x25519-ke1_mlkem768");
    }
    const stream = await throughput(context.net.left, context.net.right, { seconds: 2 });
    context.note(`${Math.round(stream.megabitsPerSecond)} Mbit/s`);
    ok(stream.bytes > 1_000_000, "the stream stalled");
  },
};
