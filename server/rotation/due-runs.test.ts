import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { database } from "../db/client.ts";
import { owner, startTestDatabase } from "../testing/database.ts";
import { playLink } from "../testing/played-gateways.ts";
import { createDueRuns } from "./due-runs.ts";
import { saveSchedule } from "./schedules.ts";

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
async function schedule(
  since: string,
  more: { name?: string; cron: string; timeZone?: string; paused?: boolean; linkId?: string | null; kind?: "psk" | "certificate" },
) {
  const data = { name: "Nightly", kind: "psk" as const, timeZone: "UTC", linkId: links[0] ?? null, ...more, updatedAt: new Date(since) };
  return database().rotationSchedule.create({ data });
}

const runs = () => database().rotationRun.findMany({ orderBy: { createdAt: "asc" } });
/** How many runs there are after looking at each of these times in turn; each is done before the next. */
async function countsAt(...times: string[]): Promise<number[]> {
  const counts: number[] = [];
  for (const time of times) {
    await createDueRuns(new Date(time));
    counts.push((await runs()).length);
    await database().rotationRun.updateMany({ data: { state: "succeeded" } });
  }
  return counts;
}

describe("createDueRuns", () => {
  it("makes one run when the time has come, none before, and no second for the same time", async () => {
    await schedule("2026-05-01T00:00:00Z", { cron: "0 3 * * *" });
    expect(await countsAt("2026-05-01T02:59:59Z", "2026-05-01T03:00:00Z", "2026-05-01T03:01:00Z", "2026-05-02T03:00:30Z")).toEqual([0, 1, 1, 2]);
    await createDueRuns(new Date("2026-05-03T03:00:00Z"));
    expect((await runs())[2]).toMatchObject({ state: "waiting", requestedById: null, linkId: links[0], dryRun: false, requestedBy: "Schedule Nightly" });
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

  it("makes none for a link whose keys are being rotated, and does not come back to it later", async () => {
    await schedule("2026-05-01T00:00:00Z", { cron: "0 3 * * *" });
    await createDueRuns(new Date("2026-05-01T03:00:00Z"));
    // The run of the day before is still open.
    expect(await countsAt("2026-05-02T03:00:00Z")).toEqual([1]);
    expect(await countsAt("2026-05-02T03:01:00Z", "2026-05-03T03:00:00Z")).toEqual([1, 2]);
  });

  it("goes on past a schedule that it cannot read, and records that once until the schedule is changed", async () => {
    const broken = await schedule("2026-05-01T00:00:00Z", { name: "Broken", cron: "0 3 * * *", timeZone: "Europe/Atlantis" });
    await schedule("2026-05-01T00:00:00Z", { name: "Sound", cron: "0 3 * * *" });
    expect(await countsAt("2026-05-01T03:00:00Z", "2026-05-01T03:01:00Z")).toEqual([1, 1]);
    const events = () => database().event.findMany({ where: { resourceId: broken.id }, orderBy: { id: "asc" } });
    expect((await events()).map((event) => [event.verb, event.actorName, event.summary])).toEqual([
      ["failed", "Schedule Broken", "Rotation schedule Broken has no next run: There is no time zone “Europe/Atlantis”."],
    ]);
    await saveSchedule(owner, broken.id, { name: "Broken", kind: "psk", linkId: null, cron: "0 3 * * *", timeZone: "UTC" });
    await database().rotationSchedule.update({ where: { id: broken.id }, data: { cron: "61 3 * * *" } });
    await createDueRuns(new Date("2026-05-01T03:02:00Z"));
    expect((await events()).map((event) => event.verb)).toEqual(["failed", "changed", "failed"]);
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
