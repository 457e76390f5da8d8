import type { RotationSchedule } from "../../generated/prisma/client.ts";
import { recordEvent } from "../audit/record-event.ts";
import { announce } from "../db/changes.ts";
import { database, type Transaction } from "../db/client.ts";
import { lockConfiguration } from "../db/configuration-lock.ts";
import { nextRunOrProblem } from "./next-runs.ts";

/**
 * Makes the runs of every schedule whose time has come since it last did (or since it was made or changed). A time that passed
 * while no hub ran is made up for once. A link whose keys are being rotated is left out. Several hubs may call it. A schedule that
 * cannot be read is recorded and one that faults is passed over: the others have their runs before the fault is thrown.
 */
export async function createDueRuns(now: Date): Promise<void> {
  const schedules = await database().rotationSchedule.findMany({ where: { paused: false }, orderBy: { name: "asc" } });
  const faults: unknown[] = [];
  for (const schedule of schedules) {
    if (!wantsAttention(schedule, now)) continue;
    try {
      await database().$transaction((tx) => attend(tx, schedule.id, now));
    } catch (error) {
      faults.push(error);
    }
  }
  if (faults.length > 0) throw new AggregateError(faults, `${faults.length} of ${schedules.length} rotation schedules could not be looked at`);
}

/** Without a lock, because most of the time there is nothing to do. */
function wantsAttention(schedule: RotationSchedule, now: Date): boolean {
  const next = nextOf(schedule);
  return "problem" in next ? next.problem !== schedule.problem : next.at <= now.getTime() || schedule.problem !== null;
}

function nextOf(schedule: RotationSchedule) {
  return nextRunOrProblem(schedule, new Date(Math.max(schedule.updatedAt.getTime(), schedule.lastDueAt?.getTime() ?? 0)));
}

async function attend(tx: Transaction, id: string, now: Date): Promise<void> {
  await lockConfiguration(tx);
  const schedule = await tx.rotationSchedule.findUnique({ where: { id } });
  if (schedule === null || schedule.paused || !wantsAttention(schedule, now)) return;
  const next = nextOf(schedule);
  // `updatedAt` stays what it is: this is no change of the schedule.
  const note = (data: { problem: string | null; lastDueAt?: Date }) =>
    tx.rotationSchedule.update({ where: { id }, data: { ...data, updatedAt: schedule.updatedAt } });
  if ("problem" in next) {
    await note({ problem: next.problem });
    await recordProblem(tx, schedule, next.problem);
  } else if (next.at <= now.getTime()) {
    await note({ problem: null, lastDueAt: now });
    await createRuns(tx, schedule, now);
  } else await note({ problem: null });
  await announce(tx, { resource: "rotation", id });
}

async function recordProblem(tx: Transaction, schedule: RotationSchedule, problem: string): Promise<void> {
  await recordEvent(tx, {
    resource: "rotation",
    resourceId: schedule.id,
    resourceName: schedule.name,
    verb: "failed",
    actorId: null,
    actorName: `Schedule ${schedule.name}`,
    summary: `Rotation schedule ${schedule.name} has no next run: ${problem}`,
  });
}

async function createRuns(tx: Transaction, schedule: RotationSchedule, now: Date): Promise<void> {
  const links = await tx.link.findMany({
    where: {
      enabled: true,
      ...(schedule.linkId === null ? {} : { id: schedule.linkId }),
      credentials: { some: { kind: schedule.kind, state: "active" } },
      runs: { none: { state: { in: ["waiting", "running"] } } },
    },
    select: { id: true, name: true },
    orderBy: { name: "asc" },
  });
  const runs = await tx.rotationRun.createManyAndReturn({
    data: links.map((link) => ({
      scheduleId: schedule.id,
      createdAt: now,
      linkId: link.id,
      linkName: link.name,
      kind: schedule.kind,
      requestedBy: `Schedule ${schedule.name}`,
      sentence: "Waits for a hub to take it.",
    })),
    select: { id: true },
  });
  await announce(tx, ...runs.map(({ id }) => ({ resource: "rotation", id }) as const));
}
