import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { database } from "../db/client.ts";
import { startTestDatabase } from "../testing/database.ts";
import { playLink } from "../testing/played-gateways.ts";
import { createDueRuns } from "./due-runs.ts";

let stop: () => Promise<void>;
let links: string[];

beforeAll(async () => {
  ({ stop } = await startTestDatabase());
  const played = [await playLink("psk"), await playLink("psk"), await playLink("certificate")];
  for (const link of played) await link.stop();
  links = played.map((link) => link.linkId);
});
afterAll(() => stop());

beforeEach(async () => {
  await database().rotationRun.deleteMany();
  await database().rotationSchedule.deleteMany();
});

/** A schedule last changed at `since`. */
async function schedule(since: string, more: { cron: string; timeZone?: string; paused?: boolean; linkId?: string | null; kind?: "psk" | "certificate" }) {
  const data = { name: "Nightly", kind: "psk" as const, timeZone: "UTC", linkId: links[0] ?? null, ...more, updatedAt: new Date(since) };
  return database().rotationSchedule.create({ data });
}

const runs = () => database().rotationRun.findMany({ orderBy: { createdAt: "asc" } });
/** How many runs there are after looking at each of these times in turn. */
async function countsAt(...times: string[]): Promise<number[]> {
  const counts: number[] = [];
  for (const time of times) {
    await createDueRuns(new Date(time));
    counts.push((await runs()).length);
  }
  return counts;
}

describe("createDueRuns", () => {
  it("makes one run when the time has come, none before, and no second for the same time", async () => {
    await schedule("2026-05-01T00:00:00Z", { cron: "0 3 * * *" });
    expect(await countsAt("2026-05-01T02:59:59Z", "2026-05-01T03:00:00Z", "2026-05-01T03:01:00Z", "2026-05-02T03:00:30Z")).toEqual([0, 1, 1, 2]);
    expect((await runs())[0]).toMatchObject({ state: "waiting", linkId: links[0], dryRun: false, requestedBy: "Schedule Nightly" });
  });

  it("makes up once for the times that passed while no hub ran", async () => {
    await schedule("2026-05-01T00:00:00Z", { cron: "0 3 * * *" });
    expect(await countsAt("2026-05-08T12:00:00Z", "2026-05-08T12:01:00Z")).toEqual([1, 1]);
  });

  it("makes none for a paused schedule", async () => {
    await schedule("2026-05-01T00:00:00Z", { cron: "* * * * *", paused: true });
    expect(await countsAt("2026-05-01T12:00:00Z")).toEqual([0]);
  });

  it("without a link covers every enabled link of that kind and no other", async () => {
    await schedule("2026-05-01T00:00:00Z", { cron: "0 3 * * *", linkId: null });
    await createDueRuns(new Date("2026-05-01T03:00:00Z"));
    expect((await runs()).map((run) => run.linkId).toSorted()).toEqual(links.slice(0, 2).toSorted());
  });

  it("makes one run when two hubs look at the same moment", async () => {
    await schedule("2026-05-01T00:00:00Z", { cron: "0 3 * * *" });
    const now = new Date("2026-05-01T03:00:00Z");
    await Promise.all([createDueRuns(now), createDueRuns(now), createDueRuns(now)]);
    expect(await runs()).toHaveLength(1);
  });

  it("goes by the wall clock of its time zone", async () => {
    await schedule("2026-06-01T00:00:00Z", { cron: "0 3 * * *", timeZone: "Asia/Tokyo" });
    expect(await countsAt("2026-06-01T17:59:00Z", "2026-06-01T18:00:00Z")).toEqual([0, 1]);
  });

  it("runs once in the night whose hour 2 comes twice, and does not lose the night whose hour 2 is missing", async () => {
    // Amsterdam: 25 October 2026 has 02:30 at 00:30Z and again at 01:30Z; 29 March 2026 has none.
    await schedule("2026-10-24T12:00:00Z", { cron: "30 2 * * *", timeZone: "Europe/Amsterdam" });
    expect(await countsAt("2026-10-25T00:29:00Z", "2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z", "2026-10-26T01:29:00Z", "2026-10-26T01:30:00Z")).toEqual([
      0, 1, 1, 1, 2,
    ]);
    await database().rotationRun.deleteMany();
    await database().rotationSchedule.deleteMany();
    await schedule("2026-03-28T12:00:00Z", { cron: "30 2 * * *", timeZone: "Europe/Amsterdam" });
    expect(await countsAt("2026-03-29T00:59:00Z", "2026-03-29T03:00:00Z", "2026-03-30T00:30:00Z")).toEqual([0, 1, 2]);
  });
});
