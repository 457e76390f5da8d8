import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { buildUdp } from "../../testing/inner-packets.ts";
import { type GatewayCounters, type LiveGateway, LivePair, rekeyBoth, until } from "../../testing/live-gateways.ts";

const isRoot = process.getuid?.() === 0;
const asRoot = isRoot || process.env["CI"] === "true" ? test : test.skip;
const injection = fileURLToPath(new URL("../../testing/fault-injection.ts", import.meta.url));
const untouched = { lost: 0, doubled: 0, late: 0 };
const both = { workers: 2, workerSas: true, inboundWorkers: 2 };
/** Enough flows that it takes one chance of 30,000 for all of them to fall to one of two queues; few enough at once that what they have on the way fits into one. */
const ROUNDS = 4;
const FLOWS = 4;
const families = { 4: new LivePair("i4"), 6: new LivePair("i6", 6) } as const;

async function received(gateway: LiveGateway): Promise<number> {
  const { inbound, inboundOfWorkers } = await gateway.counters();
  return inboundOfWorkers.reduce((sum, { packets }) => sum + packets, inbound.packets);
}

async function expectUntouched(pair: LivePair): Promise<void> {
  for (let round = 0; round < ROUNDS; round++) expect(await pair.flows(FLOWS)).toMatchObject(Array(FLOWS).fill(untouched));
}

async function packetsMore(gateway: LiveGateway, packets: number): Promise<void> {
  const before = await received(gateway);
  await until(`${packets} packets more`, async () => (await received(gateway)) > before + packets);
}

function dropped({ inbound, inboundOfWorkers, global }: GatewayCounters): string[] {
  const all = [inbound.drops, ...inboundOfWorkers.map(({ drops }) => drops), global];
  return all.flatMap((drops) => Object.entries(drops).filter(([, count]) => count > 0)).map(([cause, count]) => `${cause} ${count}`);
}

const kinds = ([4, 6] as const).flatMap((family) => [
  { family, what: "ESP in UDP", options: {} },
  { family, what: "plain ESP", options: { encapsulation: "none" } as const },
  { family, what: "AH", options: { encapsulation: "none", suite: "ah-sha256" } as const },
]);

describe("several inbound workers", () => {
  const faults = mkdtempSync(join(tmpdir(), "cvdt-"));

  beforeAll(() => {
    if (isRoot) for (const pair of Object.values(families)) pair.makeNamespaces();
  });
  afterEach(async () => {
    for (const pair of Object.values(families)) await pair.endGateways();
  });
  afterAll(() => {
    if (isRoot) for (const pair of Object.values(families)) pair.removeNamespaces();
    rmSync(faults, { recursive: true });
  });

  asRoot.each(kinds)("open $what over IPv$family, each its own SAs, drop and reorder nothing of $what", { timeout: 120_000 }, async ({ family, options }) => {
    const pair = families[family];
    const [l, r] = await pair.startBoth({ ...both, ...options });
    await expectUntouched(pair);
    for (const gateway of [l, r]) {
      const counters = await gateway.counters();
      expect(counters.inboundOfWorkers.every(({ packets }) => packets > 0)).toBe(true);
      expect(dropped(counters)).toEqual([]);
    }
  });

  asRoot("lose and reorder nothing of four flows while all SAs are rekeyed at both ends", { timeout: 60_000 }, async () => {
    const pair = families[4];
    const [l, r] = await pair.startBoth(both);
    const results = await pair.flows(FLOWS, async () => {
      for (let times = 0; times < 3; times++) {
        await packetsMore(l, 500);
        await rekeyBoth([l, r]);
      }
      await packetsMore(l, 500);
    });
    expect(results).toMatchObject(Array(FLOWS).fill(untouched));
  });

  asRoot("hand each other what one message brings of SAs of several, once", { timeout: 60_000 }, async () => {
    const pair = families[4];
    const l = await pair.start(pair.left, { ...both, workers: 3 });
    // Of the SAs of workers 1 and 3 it is the second inbound worker, of the other two the first.
    const workers = [0, 1, 1, 2, 3, 3, 0, 1];
    const packets = workers.map((worker, index) => ({
      worker,
      sequence: 1 + index,
      inner: buildUdp(pair.right.inside, pair.left.inside, 20_000 + index).toString("hex"),
    }));
    const [first, ...behind] = packets;
    const all = { ...first!, behind };
    const seen = await pair.delivered([all], 100, () => until("all of them", async () => (await received(l)) === packets.length));
    expect(seen.map((packet) => packet.readUInt16BE(22)).toSorted()).toEqual(packets.map((_, index) => 20_000 + index));
    const counters = await l.counters();
    expect(counters.inboundOfWorkers.map((sa) => sa.packets)).toEqual([3, 1, 2]);
    expect(dropped(counters)).toEqual([]);
    // The same again: each worker knows what it has seen.
    await pair.delivered([all], 101, () =>
      until("all to be dropped", async () => dropped(await l.counters()).join() === "replay 2,replay 3,replay 1,replay 2"),
    );
  });

  asRoot.each(["throw", "loop"])("go on when one of them dies or hangs (%s): another takes its place at its socket", { timeout: 120_000 }, async (fault) => {
    const pair = families[4];
    const mortal = { NODE_OPTIONS: `--import=${injection}`, CULVERT_TEST_FAULTS: faults };
    const [l, r] = await Promise.all([pair.start(pair.left, both, mortal), pair.start(pair.right, both)]);
    expect(await pair.flows(2)).toMatchObject(Array(2).fill(untouched));
    writeFileSync(join(faults, "inbound-2"), fault);
    await until("the worker's SAs to be lost", () => l.events().includes('"kind":"sasLost","direction":"inbound"'));
    await rekeyBoth([l, r]);
    await expectUntouched(pair);
    expect(l.events()).toContain("the inbound-2 worker failed");
    expect((await l.counters()).inboundOfWorkers.every(({ packets }) => packets > 0)).toBe(true);
  });
});
