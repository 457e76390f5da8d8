import { deepStrictEqual, equal } from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { expectNewChild, expectUp, linkId, type Scenario } from "../scenario.ts";

const replayed = z.object({
  verdict: z.object({ code: z.string(), sentence: z.string() }),
  recorded: z.unknown(),
  steps: z.array(z.object({ exchange: z.string(), direction: z.string(), conclusions: z.array(z.object({ sentence: z.string(), isRecorded: z.boolean() })) })),
});

export const scenario: Scenario = {
  name: "replay-of-established",
  description: "A handshake and a rekey with the peer, replayed from the exported trace: what was chosen and why",
  async run(context) {
    const peer = await context.startPeer();
    const us = await context.startUs();
    const { child } = await expectUp(context, us, peer);
    await us.commandLine(["rekey", linkId, "--child"]);
    await expectNewChild(us, child.inboundSpi);
    const file = join(context.directory, "trace.json");
    writeFileSync(file, await us.commandLine(["trace", linkId, "--json"]));
    const { verdict, recorded, steps } = replayed.parse(JSON.parse(await us.commandLine(["replay", file, "--json"])));
    deepStrictEqual(verdict, recorded);
    // strongSwan 5.9 has no ML-KEM: that is all there is to remark.
    equal(verdict.code, "CLASSICAL");
    const said = (exchange: string) => steps.filter((one) => one.exchange === exchange).flatMap((one) => one.conclusions.filter((each) => !each.isRecorded));
    deepStrictEqual(
      [...said("IKE_SA_INIT"), ...said("IKE_AUTH"), ...said("CREATE_CHILD_SA")].map((one) => one.sentence),
      [
        "The peer chose aes256gcm16-prfsha384-x25519, which this side offered.",
        "The peer says it is right.example, as this side expects.",
        "It proves a pre-shared key; which one cannot be computed again.",
        "The peer chose ESP aes256gcm16, which this side offered.",
        "The peer chose ESP aes256gcm16-x25519, which this side offered.",
      ],
    );
  },
};
