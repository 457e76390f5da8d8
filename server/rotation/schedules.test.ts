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

describe("the list of schedules", () => {
  it("shows a schedule that cannot be read with the reason instead of a next run, and the others as ever", async () => {
    const common = { kind: "psk" as const, timeZone: "UTC" };
    await database().rotationSchedule.createMany({
      data: [
        { ...common, name: "Broken", cron: "0 0 30 2 *" },
        { ...common, name: "Sound", cron: "0 3 * * *" },
        { ...common, name: "Still", cron: "nonsense", paused: true },
      ],
    });
    const { schedules } = await listRotations(owner);
    expect(schedules.map(({ name, nextRunAt, problem }) => [name, typeof nextRunAt, problem])).toEqual([
      ["Broken", "object", "This is not a cron expression. It never comes."],
      ["Sound", "number", null],
      ["Still", "object", null],
    ]);
  });
});
