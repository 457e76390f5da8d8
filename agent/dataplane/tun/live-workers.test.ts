import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { ip, type LiveGateway, LivePair, rekeyBoth, until } from "../../testing/live-gateways.ts";

const isRoot = process.getuid?.() === 0;
const asRoot = isRoot || process.env["CI"] === "true" ? test : test.skip;
const injection = fileURLToPath(new URL("../../testing/fault-injection.ts", import.meta.url));
const faults = mkdtempSync(join(tmpdir(), "cvdt-"));
const pair = new LivePair("w");
const { left, right } = pair;
const untouched = { lost: 0, doubled: 0, late: 0 };
/** Enough flows that it takes one chance of 30,000 for all of them to fall to one of two queues; few enough at once that what they have on the way fits into one. */
const ROUNDS = 4;
const FLOWS = 4;

async function expectUntouched(): Promise<void> {
  for (let round = 0; round < ROUNDS; round++) expect(await pair.flows(FLOWS)).toMatchObject(Array(FLOWS).fill(untouched));
}

/** While at least so many packets more go out under any of this gateway's SAs. */
async function packetsMore(gateway: LiveGateway, packets: number): Promise<void> {
  const count = async () => {
    const { outbound, ofWorkers } = await gateway.counters();
    return ofWorkers.reduce((sum, one) => sum + one, outbound.packets);
  };
  const before = await count();
  await until(`${packets} packets more`, async () => (await count()) > before + packets);
}

describe("several outbound workers", () => {
  beforeAll(() => {
    if (isRoot) pair.makeNamespaces();
  });
  afterEach(() => pair.endGateways());
  afterAll(() => {
    if (isRoot) pair.removeNamespaces();
    rmSync(faults, { recursive: true });
  });

  asRoot("send every flow under the SA of one worker, and flows under the SAs of all, in order", { timeout: 60_000 }, async () => {
    const [l] = await pair.startBoth({ workers: 2, workerSas: true });
    const used = [false, false];
    for (let flow = 0; flow < ROUNDS * FLOWS; flow++) {
      const before = await l.counters();
      expect(await pair.flows(1)).toMatchObject([untouched]);
      const after = await l.counters();
      const grown = after.ofWorkers.map((packets, worker) => packets > before.ofWorkers[worker]!);
      expect(grown.filter((has) => has)).toHaveLength(1);
      for (const [worker, has] of grown.entries()) used[worker] ||= has;
      expect(after.outbound.packets).toBe(0);
    }
    expect(used).toEqual([true, true]);
  });

  asRoot("lose and reorder nothing of four flows while all SAs are rekeyed at both ends", { timeout: 60_000 }, async () => {
    const [l, r] = await pair.startBoth({ workers: 2, workerSas: true });
    const results = await pair.flows(4, async () => {
      for (let times = 0; times < 3; times++) {
        await packetsMore(l, 500);
        await rekeyBoth([l, r]);
      }
      await packetsMore(l, 500);
    });
    expect(results).toMatchObject(Array(4).fill(untouched));
  });

  asRoot("share an SA without using a sequence number twice", { timeout: 60_000 }, async () => {
    const [l, r] = await pair.startBoth({ workers: 3 });
    expect(await pair.flows(FLOWS, () => packetsMore(l, 5_000))).toMatchObject(Array(FLOWS).fill(untouched));
    const [atLeft, atRight] = await Promise.all([l.counters(), r.counters()]);
    // A number that came twice would have been dropped as a replay.
    for (const [sent, received] of [
      [atLeft.outbound, atRight.inbound],
      [atRight.outbound, atLeft.inbound],
    ] as const)
      expect(received).toMatchObject({ packets: sent.packets, bytes: sent.bytes, drops: { replay: 0, integrity: 0 } });
  });

  asRoot("go on when one of them dies: another takes its place, and nothing is lost", { timeout: 60_000 }, async () => {
    const options = { workers: 2, workerSas: true };
    const mortal = { NODE_OPTIONS: `--import=${injection}`, CULVERT_TEST_FAULTS: faults };
    const [l, r] = await Promise.all([pair.start(left, options, mortal), pair.start(right, options)]);
    const results = await pair.flows(4, async () => {
      await packetsMore(l, 500);
      writeFileSync(join(faults, "outbound-2"), "throw");
      await until("the worker's SAs to be lost", () => l.events().includes("sasLost"));
      await rekeyBoth([l, r]);
      await packetsMore(l, 500);
    });
    expect(l.events()).toContain("the outbound-2 worker failed: killed by the test");
    expect(results).toMatchObject(Array(4).fill(untouched));
  });

  asRoot("go on when one of them dies and the SAs are rekeyed one by one: the new worker sends under what it has", { timeout: 60_000 }, async () => {
    const options = { workers: 2, workerSas: true };
    const mortal = { NODE_OPTIONS: `--import=${injection}`, CULVERT_TEST_FAULTS: faults };
    const [l, r] = await Promise.all([pair.start(left, options, mortal), pair.start(right, options)]);
    await expectUntouched();
    writeFileSync(join(faults, "outbound-2"), "throw");
    await until("the worker's SAs to be lost", () => l.events().includes("sasLost"));
    await Promise.all([l.expect(), r.expect()]);
    await l.rekeyShared();
    await expectUntouched();
    expect((await l.counters()).outbound.packets).toBeGreaterThan(0);
  });

  asRoot.each(["inbound", "outbound"])("hold no key any more when they die: %s", async (worker) => {
    const mortal = { NODE_OPTIONS: `--import=${injection}`, CULVERT_TEST_FAULTS: faults };
    const l = await pair.start(left, { suite: "chacha20poly1305" }, mortal);
    writeFileSync(join(faults, worker), "throw");
    await until("the worker's SAs to be lost", () => l.events().includes("sasLost"));
    const contexts = join(faults, `${worker}.contexts`);
    await until("the worker to end", () => existsSync(contexts));
    expect(readFileSync(contexts, "utf8")).toBe("made 1, held 0");
  });

  asRoot.each(["loop", "wait"])("go on when one of them hangs (%s): it is ended, and another takes its place", { timeout: 60_000 }, async (fault) => {
    const options = { workers: 2, workerSas: true };
    const mortal = { NODE_OPTIONS: `--import=${injection}`, CULVERT_TEST_FAULTS: faults };
    const [l, r] = await Promise.all([pair.start(left, options, mortal), pair.start(right, options)]);
    const results = await pair.flows(4, async () => {
      await packetsMore(l, 500);
      writeFileSync(join(faults, "outbound-2"), fault);
      await until("the worker's SAs to be lost", () => l.events().includes("sasLost"));
      await rekeyBoth([l, r]);
      await packetsMore(l, 500);
    });
    expect(l.events()).toContain("the outbound-2 worker failed: it has given no sign of life for 2 s");
    expect(l.events().match(/sasLost/g)).toHaveLength(1);
    // What has waited for too long in the queue of the one that hung may be lost; nothing else is, and nothing afterwards.
    expect(results.map(({ doubled, late }) => [doubled, late])).toEqual(Array(4).fill([0, 0]));
    await expectUntouched();
  });

  asRoot("have their device made again when it is deleted, with all its queues", { timeout: 60_000 }, async () => {
    const [l] = await pair.startBoth({ workers: 2, workerSas: true });
    expect(await pair.flows(2)).toMatchObject(Array(2).fill(untouched));
    ip("-n", left.namespace, "link", "del", "culvert0");
    await until("the device to be made again", () => l.events().includes('"kind":"deviceReplaced"'));
    ip("-n", left.namespace, "route", "replace", right.network, "dev", "culvert0", "src", left.inside);
    await expectUntouched();
    expect(l.events().match(/deviceReplaced/g)).toHaveLength(1);
    const { ofWorkers } = await l.counters();
    expect(ofWorkers.every((packets) => packets > 0)).toBe(true);
  });
});
