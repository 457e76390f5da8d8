import { Worker } from "node:worker_threads";
import { describe, expect, test } from "vitest";
import type { OutboundSa } from "../../ipsec/security-association.ts";
import { usualSa } from "../../testing/sa-parts.ts";
import { SharedSequence, shareOfLimits, sharedSequence } from "./shared-sequence.ts";

const sa: OutboundSa = { ...usualSa, direction: "outbound", extendedSequenceNumbers: true };

const TAKEN = 200_000;
/** Takes numbers as fast as it can from the moment that all of them run, and says which. */
const taker = `
  import { parentPort, workerData } from "node:worker_threads";
  import { SharedSequence } from ${JSON.stringify(new URL("./shared-sequence.ts", import.meta.url).href)};
  const { numbers, gate, count, workers } = workerData;
  const sequence = new SharedSequence(numbers);
  const ready = new Int32Array(gate);
  Atomics.add(ready, 0, 1);
  while (Atomics.load(ready, 0) < workers) {}
  const taken = new Uint32Array(count);
  for (let i = 0; i < count; i++) taken[i] = sequence.take();
  parentPort.postMessage(taken);
`;

function take(numbers: SharedArrayBuffer, gate: SharedArrayBuffer, workers: number): Promise<Uint32Array> {
  const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(taker)}`), { workerData: { numbers, gate, count: TAKEN, workers } });
  return new Promise((resolve, reject) => worker.once("message", resolve).once("error", reject));
}

describe("sequence numbers that several threads take", () => {
  test("begin with 1, and none is given twice or left out", async () => {
    const [numbers, gate] = [sharedSequence(), new SharedArrayBuffer(4)];
    const taken = await Promise.all([0, 1, 2].map(() => take(numbers, gate, 3)));
    const all = new Set(taken.flatMap((some) => [...some]));
    expect(all.size).toBe(3 * TAKEN);
    expect([Math.min(...taken.map((some) => some[0]!)), Math.max(...taken.map((some) => some.at(-1)!))]).toEqual([1, 3 * TAKEN]);
    // Each thread's own grow, as a receiver's window wants them.
    for (const some of taken) expect(some.every((number, index) => index === 0 || number > some[index - 1]!)).toBe(true);
  });

  test("end before they would begin anew, however often one is asked for", () => {
    const end = 2 ** 32 - 2 ** 16;
    const sequence = new SharedSequence(sharedSequence(end - 2));
    expect([sequence.take(), sequence.take(), sequence.take(), sequence.take()]).toEqual([end - 1, end, 0, 0]);
  });

  test("are part of each thread's limits, so that all together never pass what one SA may", () => {
    for (const workers of [2, 3, 16]) {
      const share = shareOfLimits({ ...sa, softBytes: 1_000_000, hardBytes: 1_100_000 }, workers);
      expect(workers * share.hardBytes!).toBeLessThanOrEqual(1_100_000);
      expect(workers * share.hardPackets!).toBeLessThanOrEqual(2 ** 32 - 2 ** 16);
      expect(share.softPackets!).toBeLessThan(share.hardPackets!);
      expect(share.softBytes!).toBeLessThan(share.hardBytes!);
    }
    expect(shareOfLimits({ ...sa, softPackets: 1_000 }, 2).softPackets).toBe(500);
  });
});
