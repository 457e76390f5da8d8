import { deepStrictEqual, doesNotMatch, equal, match } from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { traceFile } from "../../../contract/trace-file.ts";
import type { Agent } from "../../lib/agent.ts";
import { type Context, expectFailure, linkId, preSharedKey, type Scenario } from "../scenario.ts";

const replayed = z.object({
  verdict: z.object({ code: z.string(), sentence: z.string() }).nullable(),
  recorded: z.unknown(),
  steps: z.array(z.object({ exchange: z.string(), direction: z.string(), conclusions: z.array(z.object({ sentence: z.string(), isRecorded: z.boolean() })) })),
});

export const scenario: Scenario = {
  name: "replay-of-peer",
  description: "The trace of an exchange with the peer is exported without secrets, and its replay comes to the same sentence",
  async run(context) {
    const peer = await context.startPeer({ connection: { proposals: "aes128-sha256-modp2048" } });
    const us = await context.startUs({ initiate: "respond" });
    equal((await peer.tryInitiate("net")).ok, false);
    const sentence = await expectFailure(us, "NO_PROPOSAL_CHOSEN", /modp2048/);
    const { verdict, recorded, steps } = await replayTrace(context, us);
    deepStrictEqual(verdict, recorded);
    equal(verdict?.sentence, sentence);
    const computed = steps.filter((step) => step.direction === "received").flatMap((step) => step.conclusions);
    match(computed[0]?.sentence ?? "", /No common IKE proposal/);
    equal(computed[0]?.isRecorded, false);
    context.note(sentence);
  },
};

async function replayTrace(context: Context, us: Agent) {
  const text = await us.commandLine(["trace", linkId, "--json"]);
  doesNotMatch(text, new RegExp(`${preSharedKey}|${Buffer.from(preSharedKey).toString("hex")}`));
  equal(traceFile.parse(JSON.parse(text)).link.id, linkId);
  const file = join(context.directory, "trace.json");
  writeFileSync(file, text);
  return replayed.parse(JSON.parse(await us.commandLine(["replay", file, "--json"])));
}
