import { equal, ok } from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { startCapture } from "../../lib/capture.ts";
import { expectUp, linkId, withoutLoss, type Scenario } from "../scenario.ts";

const sender = fileURLToPath(new URL("./send-mutations.ts", import.meta.url));
const mutations = 100_000;

export const scenario: Scenario = {
  name: "hostile-datagrams",
  description: `Every truncation and ${mutations.toLocaleString("en")} random mutations of the link's own IKE and ESP messages: the tunnel is unharmed, 0 lost, memory stays`,
  async run(context) {
    const capture = await startCapture(context.net.middle, "right0", join(context.directory, "seeds.pcap"));
    const peer = await context.startPeer();
    const us = await context.startUs();
    const before = await expectUp(context, us, peer);
    const packets = await capture.stop();
    const samples = packets.filter(({ destinationPort }) => destinationPort === 500 || destinationPort === 4_500);
    // Every IKE message, and a few of the many ESP packets.
    const seeds = [...samples.filter(({ kind }) => kind === "ike"), ...samples.filter(({ kind }) => kind === "esp").slice(0, 4)];
    const file = join(context.directory, "seeds.json");
    writeFileSync(file, JSON.stringify(seeds.map(({ destinationPort, payload }) => ({ port: destinationPort, hex: Buffer.from(payload).toString("hex") }))));
    const seed = Date.now() % 2 ** 31;
    context.note(`seed ${seed}`);
    const send = (count: number) =>
      context.net.right.run([process.execPath, sender, file, "192.0.2.1", String(seed), String(count)], { timeoutMilliseconds: 60_000 });
    // The first part fills caches and pools; only what comes after it can be growth.
    await send(mutations / 5);
    const warm = (await us.status()).memoryBytes;
    await withoutLoss(context, () => send((mutations * 4) / 5));
    const after = await expectUp(context, us, peer);
    equal(after.child.inboundSpi, before.child.inboundSpi);
    const grown = ((await us.status()).memoryBytes - warm) / 1_048_576;
    context.note(`memory ${grown < 0 ? "" : "+"}${grown.toFixed(1)} MiB`);
    ok(grown < 64, `memory grew by ${grown.toFixed(1)} MiB`);
    await us.rekey(linkId, "all");
    await expectUp(context, us, peer);
  },
};
