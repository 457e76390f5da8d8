import { pollUntil } from "../lib/poll.ts";
import { throughput } from "../lib/traffic.ts";
import { expectUp, linkId, withoutLoss, type LinkInput, type PeerOptions, type Scenario } from "./scenario.ts";

/** A scenario in which a Child SA is replaced after so much traffic, while 15 Mbit/s of TCP pass (some 1,900 octets a millisecond). */
export function volumeRekey(name: string, what: string, ours: Partial<LinkInput>, peers: PeerOptions): Scenario {
  return {
    name,
    description: `Child SA rekeyed after ${what}, at least three times while TCP passes: 0 lost`,
    async run(context) {
      const peer = await context.startPeer(peers);
      const us = await context.startUs(ours);
      await expectUp(context, us, peer);
      const seen = new Set<string>();
      await withoutLoss(context, async () => {
        const stream = throughput(context.net.left, context.net.right, { seconds: 3, megabitsPerSecond: 15 });
        await pollUntil(
          "three rekeys",
          15_000,
          async () => {
            const { ikeSas } = await us.link(linkId);
            for (const { inboundSpi } of ikeSas.flatMap((ike) => ike.childSas)) seen.add(inboundSpi);
            return seen.size > 3 ? true : undefined;
          },
          () => `Seen: ${[...seen].join(", ")}`,
        ).finally(() => stream);
        context.note(`${(await stream).retransmits} TCP retransmits`);
      });
      await expectUp(context, us, peer);
    },
  };
}
