import { deepEqual, equal, notEqual, ok } from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { ObservedChildSa } from "../../contract/observed-state.ts";
import type { Agent } from "../lib/agent.ts";
import { startCapture } from "../lib/capture.ts";
import { pollUntil } from "../lib/poll.ts";
import { startPing, type PingResult } from "../lib/traffic.ts";
import { expectNewChild, expectUp, type Context, type Scenario } from "./scenario.ts";

const injection = fileURLToPath(new URL("../../agent/testing/fault-injection.ts", import.meta.url));

/** A gateway of ours whose faults are ordered by files in `directory`: see agent/testing/fault-injection.ts. */
export function startUsMortal(context: Context, link: Parameters<Context["startUs"]>[0] = {}): Promise<Agent> {
  return context.startUs(link, { env: { NODE_OPTIONS: `--import=${injection}`, CULVERT_TEST_FAULTS: context.directory } });
}

export interface Outage {
  readonly lost: readonly [PingResult, PingResult];
  /** When the fault was made, by `performance.now()`. */
  readonly began: number;
  /** From the fault to the first echo that was answered after it was over, in milliseconds. */
  readonly outageMs: number;
}

/**
 * Sends echoes each way while `fault` is made, until `recovered` resolves and 30 echoes more have been answered.
 */
export async function outageOf(context: Context, fault: () => Promise<void> | void, recovered: () => Promise<unknown>): Promise<Outage> {
  const { left, right } = context.net;
  const pings = await Promise.all([startPing(left, right, 0.01), startPing(right, left, 0.01)]);
  const answered = () => pings[0].answered() + pings[1].answered();
  const began = performance.now();
  await fault();
  await recovered();
  const before = answered();
  await pollUntil("an echo after the fault", 3_000, async () => (answered() > before ? true : undefined), undefined, 1);
  const outageMs = performance.now() - began;
  await pollUntil("thirty more echoes", 5_000, async () => (answered() > before + 30 ? true : undefined));
  const lost = await Promise.all([pings[0].stop(), pings[1].stop()]);
  context.note(
    `back after ${Math.round(outageMs)} ms; ${lost[0].lost} of ${lost[0].sent} echoes from us lost, ${lost[1].lost} of ${lost[1].sent} from the peer`,
  );
  return { lost, began, outageMs };
}

type Direction = "inbound" | "outbound";
type WorkerFault = "throw" | "loop" | "wait";

/** Tells the worker of a mortal gateway to fail as a bug would make it, or to run or wait for ever. */
export function orderFault(context: Context, worker: Direction, fault: WorkerFault): void {
  writeFileSync(join(context.directory, worker), fault);
}

/** A scenario in which the worker of a direction dies under traffic. */
export function workerDies(direction: Direction, lossless: boolean): Scenario {
  return {
    name: `fault-${direction}-worker`,
    description: `Our ${direction} worker dies under traffic: another takes its place in the same IKE SA, with new keys, the link is back within 3 s${lossless ? ", 0 lost" : ""}`,
    run: (context) => replacesWorker(context, direction, { order: "throw", said: "killed by the test", lossless }),
  };
}

/** A scenario in which it goes on living, and does nothing more: in an endless loop, or because it waits for ever. */
export function workerHangs(direction: Direction, order: "loop" | "wait"): Scenario {
  const how = order === "loop" ? "runs in an endless loop" : "waits for ever";
  return {
    name: `fault-${direction}-worker-hangs`,
    description: `Our ${direction} worker ${how} under traffic: that is noticed after 2 s, and another takes its place in the same IKE SA, with new keys, within 3 s of that`,
    run: (context) => replacesWorker(context, direction, { order, said: "it has given no sign of life for 2 s", lossless: false }),
  };
}

interface FaultCase {
  readonly order: WorkerFault;
  readonly said: string;
  readonly lossless: boolean;
}

async function replacesWorker(context: Context, direction: Direction, { order, said, lossless }: FaultCase): Promise<void> {
  const peer = await context.startPeer();
  const us = await startUsMortal(context);
  const first = await expectUp(context, us, peer);
  const capture = await startCapture(context.net.middle, "left0", join(context.directory, "middle.pcap"));
  const sentence = `the ${direction} worker failed: ${said}: its ${direction} SAs are lost, every Child SA is rekeyed`;
  let noticedAt = 0;
  let next: ObservedChildSa | null = null;
  const { lost, began, outageMs } = await outageOf(
    context,
    async () => {
      orderFault(context, direction, order);
      await pollUntil("word of the fault", 10_000, async () => (us.log().includes(sentence) ? true : undefined), undefined, 1);
      noticedAt = performance.now();
    },
    async () => {
      next = await expectNewChild(us, first.child.inboundSpi);
    },
  );
  const now = await expectUp(context, us, peer);
  // The same IKE SA, a new Child SA, and in that order.
  equal(now.ike.spiI, first.ike.spiI);
  notEqual(now.child.outboundSpi, first.child.outboundSpi);
  equal(now.child.inboundSpi, (next as ObservedChildSa | null)?.inboundSpi);
  // A death is told by the thread itself.
  const unnoticedMs = order === "throw" ? 0 : noticedAt - began;
  ok(outageMs - unnoticedMs < 3_000, `back after ${outageMs} ms, of which ${unnoticedMs} until it was noticed`);
  if (lossless) deepEqual([lost[0].lost, lost[1].lost], [0, 0]);
  const numbers = (await capture.stop())
    .filter(({ kind, destinationPort }) => kind === "esp" && destinationPort === 4_500)
    .map(({ ip, payload }) => {
      const view = new DataView(payload.buffer, payload.byteOffset);
      return `${Buffer.from(ip.subarray(12, 16)).toString("hex")} ${view.getUint32(0)} ${view.getUint32(4)}`;
    });
  equal(new Set(numbers).size, numbers.length, "a sequence number was used twice under one key");
}
