import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { database } from "../db/client.ts";
import { NotFound } from "../errors.ts";
import { owner, startTestDatabase } from "../testing/database.ts";
import { deleteSchedule, listRotations, saveSchedule } from "./schedules.ts";

let stop: () => Promise<void>;

beforeAll(async () => {
  ({ stop } = await startTestDatabase());
});
afterAll(() => stop());

describe("deleting a schedule", () => {
  it("takes it away, keeps its past runs, and says who did it and what it was", async () => {
    await saveSchedule(owner, null, { name: "Weekly", kind: "psk", linkId: null, cron: "0 3 * * 0", timeZone: "Europe/Amsterdam" });
    const [schedule] = (await listRotations(owner)).schedules;
    if (schedule === undefined) throw new Error("there is no schedule");
    await database().rotationRun.create({
      data: { scheduleId: schedule.id, linkName: "Amsterdam – Berlin", kind: "psk", state: "succeeded", requestedBy: owner.name },
    });
    await deleteSchedule(owner, schedule.id);
    const after = await listRotations(owner);
    expect([after.schedules, after.runs.map((run) => run.linkName)]).toEqual([[], ["Amsterdam – Berlin"]]);
    const event = await database().event.findFirstOrThrow({ where: { resourceId: schedule.id, verb: "deleted" } });
    expect([event.summary, event.actorName, event.before]).toEqual([
      "Rotation schedule Weekly was deleted",
      owner.name,
      { name: "Weekly", kind: "psk", linkId: null, cron: "0 3 * * 0", timeZone: "Europe/Amsterdam" },
    ]);
    await expect(deleteSchedule(owner, schedule.id)).rejects.toThrow(NotFound);
  });
});
