import { deepEqual, ok } from "node:assert/strict";
import { throughput } from "../../lib/traffic.ts";
import type { Agent } from "../../lib/agent.ts";
import { type Context, expectNewChild, expectTraffic, linkId, withoutLoss, type LinkInput, type Scenario } from "../scenario.ts";

/** What a link asks for at both ends, and what its Child SA must then be. */
const kinds: readonly { readonly wish: Partial<LinkInput>; readonly protocol: "esp" | "ah"; readonly suite: string }[] = [
  { wish: { encapsulation: "plain" }, protocol: "esp", suite: "aes256gcm16-x25519-ke1_mlkem768" },
  { wish: { ah: { proposals: ["sha256-x25519"] } }, protocol: "ah", suite: "sha256-x25519" },
];

export const scenario: Scenario = {
  name: "ours-both-ends-plain",
  description:
    "Our gateway at both ends with ESP that does not go in UDP, then, changed by a reload, with AH: rekeyed from either end with 0 lost, one TCP stream each",
  async run(context) {
    const right = await context.startUsAtRight(kinds[0]?.wish);
    const left = await context.startUs(kinds[0]?.wish);
    for (const { wish, protocol, suite } of kinds) {
      if (protocol === "ah") await withoutLoss(context, () => change(context, left, right, wish));
      for (const end of [left, right]) {
        await end.waitForLink(linkId, `one IKE SA, with a Child SA of ${protocol}`, ({ ikeSas }) =>
          ikeSas.length === 1 && ikeSas[0]?.childSas.map((child) => child.protocol).join() === protocol ? true : undefined,
        );
      }
      await right.waitUntilUp(linkId);
      await expectTraffic(context);
      let { inboundSpi } = (await left.waitUntilUp(linkId)).child;
      await withoutLoss(context, async () => {
        for (const end of [left, right]) {
          await end.rekey(linkId, "child");
          ({ inboundSpi } = await expectNewChild(left, inboundSpi));
          await right.waitUntilUp(linkId);
        }
      });
      for (const { child, ike } of [await left.waitUntilUp(linkId), await right.waitUntilUp(linkId)]) {
        deepEqual([child.protocol, child.encapsulation, child.mode, child.suite], [protocol, "none", "tunnel", suite]);
        deepEqual(ike.nat, "none");
      }
      const stream = await throughput(context.net.left, context.net.right, { seconds: 2 });
      context.note(`${protocol}: ${Math.round(stream.megabitsPerSecond)} Mbit/s`);
      ok(stream.bytes > 1_000_000, "the stream stalled");
    }
  },
};

/** The end that hears first asks for what the other one still refuses. */
async function change(context: Context, left: Agent, right: Agent, wish: Partial<LinkInput>): Promise<void> {
  await right.configure(context.configurationAtRight(wish));
  await right.waitForLink(linkId, "that the other end refuses AH", ({ lastFailure }) => (lastFailure?.code === "NO_PROPOSAL_CHOSEN" ? true : undefined));
  await left.configure(context.configuration(wish));
  for (const end of [left, right]) {
    await end.waitForLink(linkId, "no Child SA but of AH", ({ ikeSas }) =>
      ikeSas.every(({ childSas }) => childSas.every((child) => child.protocol === "ah")) ? true : undefined,
    );
  }
}
