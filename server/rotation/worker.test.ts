import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { database } from "../db/client.ts";
import { startTestDatabase } from "../testing/database.ts";
import { type Faults, type PlayedLink, playLink } from "../testing/played-gateways.ts";
import { startRotationWorker } from "./worker.ts";

let stop: () => Promise<void>;
let workers: Awaited<ReturnType<typeof startRotationWorker>>[] = [];
const played: PlayedLink[] = [];
const lines: string[] = [];

beforeAll(async () => {
  ({ stop } = await startTestDatabase());
  const start = () => startRotationWorker({ log: (line) => lines.push(line) });
  workers = [await start(), await start()];
});
afterAll(async () => {
  await Promise.all(workers.map((worker) => worker.close()));
  await Promise.all(played.map((link) => link.stop()));
  await stop();
});

async function play(faults: Faults = {}): Promise<PlayedLink> {
  const link = await playLink("psk", faults);
  played.push(link);
  return link;
}

/** Waiting runs, announced by nothing: the poll must find them. */
async function newRun(linkId: string, more: { state?: "running"; heldUntil?: Date; holder?: string } = {}): Promise<string> {
  return (await database().rotationRun.create({ data: { linkId, linkName: "Link", kind: "psk", requestedBy: "Olga Owner", ...more } })).id;
}

const states = async (ids: readonly string[]) =>
  (await database().rotationRun.findMany({ where: { id: { in: [...ids] } }, orderBy: { createdAt: "asc" } })).map((run) => run.state);
/** On a busy machine a rotation of milliseconds takes seconds. */
const patiently = { timeout: 45_000, interval: 200 };

describe("two hubs' workers", () => {
  it("rotate the keys of independent links at the same time, each once", async () => {
    const faults = { offline: ["Berlin"] };
    const links = [await play(faults), await play(faults), await play(faults), await play(faults)];
    const ids = await Promise.all(links.map((link) => newRun(link.linkId)));
    // None of them can go on: if one waited for another's end, it would not be under way now.
    const underWay = async () => (await database().rotationStep.findMany({ where: { runId: { in: ids }, name: "stage" } })).length;
    await expect.poll(underWay, patiently).toBe(4);
    expect(await states(ids)).toEqual(ids.map(() => "running"));
    faults.offline = [];
    await expect.poll(() => states(ids), patiently).toEqual(ids.map(() => "succeeded"));
    for (const { linkId, lockouts } of links) {
      expect(await database().credential.count({ where: { linkId } })).toBe(2);
      expect(lockouts).toEqual([]);
    }
    expect(lines).toEqual([]);
  }, 120_000);

  it("get to a link's run however many runs of another link are before it", async () => {
    const [busy, other] = [await play(), await play()];
    const held = await newRun(busy.linkId, { state: "running", holder: "elsewhere", heldUntil: new Date(Date.now() + 600_000) });
    await database().rotationRun.createMany({
      data: Array.from({ length: 150 }, () => ({ linkId: busy.linkId, linkName: "Link", kind: "psk" as const, requestedBy: "Olga Owner" })),
    });
    const id = await newRun(other.linkId);
    await expect.poll(() => states([id]), patiently).toEqual(["succeeded"]);
    expect(await states([held])).toEqual(["running"]);
    expect(await database().rotationRun.count({ where: { linkId: busy.linkId, state: "waiting" } })).toBe(150);
    await database().rotationRun.deleteMany({ where: { linkId: busy.linkId } });
  }, 120_000);

  it("hold no job for a run that waits for a gateway, and take it up when the gateway is back", async () => {
    const faults: Faults = {};
    faults.onCommand = (name) => {
      if (name === "probe") faults.offline = ["Berlin"];
    };
    const link = await play(faults);
    const id = await newRun(link.linkId);
    const sentence = async () => (await database().rotationRun.findUniqueOrThrow({ where: { id } })).sentence;
    await expect.poll(sentence, patiently).toBe(`Waits for ${link.siteB} to retire the old key.`);
    const openJobs = async () =>
      (await database().$queryRaw<unknown[]>`SELECT 1 FROM pgboss.job WHERE singleton_key = ${link.linkId} AND state IN ('created', 'retry', 'active')`).length;
    await expect.poll(openJobs, patiently).toBe(0);
    delete faults.onCommand;
    faults.offline = [];
    await expect.poll(() => states([id]), { timeout: 20_000, interval: 200 }).toEqual(["succeeded"]);
    expect(link.lockouts).toEqual([]);
  }, 120_000);
});
