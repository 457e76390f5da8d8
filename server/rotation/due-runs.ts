import { announce } from "../db/changes.ts";
import { database } from "../db/client.ts";
import { nextRuns } from "./next-runs.ts";

/**
 * Makes the runs of every schedule whose time has come since its last run (or since it was made or changed). A time that passed
 * while no hub ran is made up for once. Several hubs may call it: the schedule's row is locked while it is looked at.
 */
export async function createDueRuns(now: Date): Promise<void> {
  const schedules = await database().rotationSchedule.findMany({ where: { paused: false }, select: { id: true } });
  for (const { id } of schedules) {
    await database().$transaction(async (tx) => {
      await tx.$queryRaw`SELECT 1 FROM "RotationSchedule" WHERE "id" = ${id} FOR UPDATE`;
      const schedule = await tx.rotationSchedule.findUnique({ where: { id } });
      if (schedule === null || schedule.paused) return;
      const last = await tx.rotationRun.findFirst({ where: { scheduleId: id, dryRun: false }, orderBy: { createdAt: "desc" } });
      const since = new Date(Math.max(schedule.updatedAt.getTime(), last?.createdAt.getTime() ?? 0));
      const next = nextRuns(schedule.cron, schedule.timeZone, 1, since)[0];
      if (next === undefined || next > now.getTime()) return;
      const links = await tx.link.findMany({
        where: {
          enabled: true,
          ...(schedule.linkId === null ? {} : { id: schedule.linkId }),
          credentials: { some: { kind: schedule.kind, state: "active" } },
        },
        orderBy: { name: "asc" },
      });
      for (const link of links) {
        const run = await tx.rotationRun.create({
          data: {
            scheduleId: id,
            createdAt: now,
            linkId: link.id,
            linkName: link.name,
            kind: schedule.kind,
            requestedBy: `Schedule ${schedule.name}`,
            sentence: "Waits for a hub to take it.",
          },
        });
        await announce(tx, { resource: "rotation", id: run.id });
      }
      // Without a link there is no run to remember that this time has passed.
      if (links.length === 0) await tx.rotationSchedule.update({ where: { id }, data: { updatedAt: now } });
    });
  }
}
