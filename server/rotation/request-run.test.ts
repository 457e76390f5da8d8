import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { database } from "../db/client.ts";
import { Conflict } from "../errors.ts";
import { owner, startTestDatabase } from "../testing/database.ts";
import { type Faults, type PlayedLink, playLink } from "../testing/played-gateways.ts";
import { createDueRuns } from "./due-runs.ts";
import { requestLinkRun, requestScheduledRuns } from "./request-run.ts";
import { rotateLink } from "./rotate-link.ts";

let stop: () => Promise<void>;
let link: PlayedLink;
let other: PlayedLink;
const faults: Faults = {};

beforeAll(async () => {
  ({ stop } = await startTestDatabase());
  link = await playLink("psk", faults);
  other = await playLink("psk");
});
afterAll(async () => {
  await Promise.all([link.stop(), other.stop()]);
  await stop();
});
beforeEach(async () => {
  await database().rotationRun.deleteMany();
  await database().rotationSchedule.deleteMany();
});

const openRuns = () => database().rotationRun.findMany({ where: { state: "waiting" }, orderBy: { linkName: "asc" } });
/** What the event stream holds of a run, oldest first. */
async function eventsOf(runId: string) {
  const events = await database().event.findMany({ where: { resource: "rotation", resourceId: runId }, orderBy: { id: "asc" } });
  return { verbs: events.map((event) => event.verb), actors: [...new Set(events.map((event) => `${event.actorName} ${event.actorId}`))] };
}
const newSchedule = (linkId: string | null) =>
  database().rotationSchedule.create({
    data: { name: "Nightly", kind: "psk", linkId, cron: "0 3 * * *", timeZone: "UTC", updatedAt: new Date("2026-05-01T00:00:00Z") },
  });

describe("the event stream", () => {
  it("tells each step of a rotation, with the user who asked for it", async () => {
    await requestLinkRun(owner, link.linkId, false);
    const [run] = await openRuns();
    await rotateLink(run?.id ?? "");
    expect(await eventsOf(run?.id ?? "")).toEqual({
      verbs: ["requested", "started", "staged", "switched", "reauthenticated", "verified", "withdrawn", "destroyed", "rotated"],
      actors: [`${owner.name} ${owner.userId}`],
    });
  }, 30_000);

  it("tells how a rotation went back, with the schedule that started it", async () => {
    await newSchedule(link.linkId);
    await createDueRuns(new Date("2026-05-01T03:00:00Z"));
    faults.echoes = "lost";
    const [run] = await openRuns();
    await rotateLink(run?.id ?? "");
    delete faults.echoes;
    expect(await eventsOf(run?.id ?? "")).toEqual({
      verbs: ["started", "staged", "switched", "reauthenticated", "reversed", "restored", "reauthenticated", "unconfirmed", "dropped", "failed"],
      actors: ["Schedule Nightly null"],
    });
    // The echo is lost with the old key as well: that is worth knowing.
    expect((await database().rotationRun.findUniqueOrThrow({ where: { id: run?.id ?? "" } })).sentence).toBe(
      "No echo passed the tunnel under the new key. The old key is kept. No echo passed the tunnel under the old key.",
    );
  }, 30_000);
});

describe("asking for a schedule's rotation", () => {
  it("leaves out a link that is being rotated, and is refused when that leaves none", async () => {
    await requestLinkRun(owner, link.linkId, false);
    await expect(requestLinkRun(owner, link.linkId, false)).rejects.toThrow(Conflict);
    const { id } = await newSchedule(null);
    await requestScheduledRuns(owner, id, false);
    expect((await openRuns()).map((run) => run.linkId)).toEqual([link.linkId, other.linkId]);
    await expect(requestScheduledRuns(owner, id, false)).rejects.toThrow("The keys of all 2 links are being rotated already.");
  });
});
