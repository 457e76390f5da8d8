import { z } from "zod";
import type { CredentialKind, RunState } from "../../generated/prisma/enums.ts";
import { recordEvent } from "../audit/record-event.ts";
import { type Actor, authorize } from "../auth/actor.ts";
import { announce } from "../db/changes.ts";
import { database } from "../db/client.ts";
import { lockConfiguration } from "../db/configuration-lock.ts";
import { Invalid, NotFound } from "../errors.ts";
import { parseInput } from "../parse-input.ts";
import { nextRunOrProblem, nextRuns } from "./next-runs.ts";

export interface ScheduleView {
  readonly id: string;
  readonly name: string;
  readonly kind: CredentialKind;
  readonly linkId: string | null;
  readonly linkName: string | null;
  readonly cron: string;
  readonly timeZone: string;
  readonly paused: boolean;
  readonly nextRunAt: number | null;
  /** Why there is no next run; null: there is one, or it is paused. */
  readonly problem: string | null;
}

export interface RotationRunView {
  readonly id: string;
  readonly linkName: string;
  readonly dryRun: boolean;
  readonly outcome: RunState;
  readonly sentence: string;
  readonly startedAt: string;
  /** It waits for a gateway, or for a hub, and an operator may give it up. */
  readonly isWaiting: boolean;
  readonly steps: { readonly name: string; readonly outcome: RunState; readonly message: string }[];
}

export interface RotationsView {
  readonly schedules: ScheduleView[];
  readonly runs: RotationRunView[];
}

/** All schedules, and the newest 50 runs with their steps. */
export async function listRotations(actor: Actor): Promise<RotationsView> {
  authorize(actor, "read");
  const [schedules, runs] = await Promise.all([
    database().rotationSchedule.findMany({ include: { link: { select: { name: true } } }, orderBy: { name: "asc" } }),
    database().rotationRun.findMany({ orderBy: { createdAt: "desc" }, take: 50, include: { steps: { orderBy: { position: "asc" } } } }),
  ]);
  return {
    schedules: schedules.map((row) => {
      const { id, name, kind, linkId, cron, timeZone, paused } = row;
      const next = paused ? null : nextRunOrProblem(row);
      const told = { nextRunAt: next !== null && "at" in next ? next.at : null, problem: next !== null && "problem" in next ? next.problem : null };
      return { id, name, kind, linkId, linkName: row.link?.name ?? null, cron, timeZone, paused, ...told };
    }),
    runs: runs.map((row) => ({
      id: row.id,
      linkName: row.linkName,
      dryRun: row.dryRun,
      outcome: row.state,
      sentence: row.sentence,
      startedAt: (row.startedAt ?? row.createdAt).toISOString(),
      isWaiting: row.state === "waiting" || (row.state === "running" && row.holder === null),
      steps: row.steps.map((step) => ({ name: step.name, outcome: step.state, message: step.message })),
    })),
  };
}

const scheduleForm = z.object({
  name: z.string().trim().min(1, "Give the schedule a name.").max(80, "At most 80 characters."),
  kind: z.enum(["psk", "certificate"]),
  linkId: z.uuid().nullable(),
  cron: z.string().trim(),
  timeZone: z.string(),
});

/** Creates a schedule, or changes the one `id` names. Throws Invalid with the field. */
export async function saveSchedule(actor: Actor, id: string | null, input: unknown): Promise<void> {
  authorize(actor, "edit");
  const form = parseInput(scheduleForm, input);
  nextRuns(form.cron, form.timeZone, 1);
  await database().$transaction(async (tx) => {
    await lockConfiguration(tx);
    const sameName = await tx.rotationSchedule.findUnique({ where: { name: form.name } });
    if (sameName !== null && sameName.id !== id) throw new Invalid({ name: "There is a schedule of this name already." });
    if (form.linkId !== null && (await tx.link.count({ where: { id: form.linkId } })) === 0) throw new Invalid({ linkId: "This link is no longer there." });
    const before = id === null ? null : await tx.rotationSchedule.findUnique({ where: { id } });
    if (id !== null && before === null) throw new NotFound("There is no such schedule.");
    const saved =
      id === null ? await tx.rotationSchedule.create({ data: form }) : await tx.rotationSchedule.update({ where: { id }, data: { ...form, problem: null } });
    await recordEvent(tx, {
      ...eventOf(actor, saved, id === null ? "created" : "changed", `Rotation schedule ${form.name} was ${id === null ? "created" : "changed"}`),
      before: before === null ? null : { name: before.name, kind: before.kind, linkId: before.linkId, cron: before.cron, timeZone: before.timeZone },
      after: form,
    });
    await announce(tx, { resource: "rotation", id: saved.id });
  });
}

export async function pauseSchedule(actor: Actor, id: string, paused: boolean): Promise<void> {
  authorize(actor, "edit");
  await database().$transaction(async (tx) => {
    await lockConfiguration(tx);
    const schedule = await tx.rotationSchedule.findUnique({ where: { id } });
    if (schedule === null) throw new NotFound("There is no such schedule.");
    await tx.rotationSchedule.update({ where: { id }, data: { paused } });
    await recordEvent(tx, eventOf(actor, schedule, paused ? "paused" : "resumed", `Rotation schedule ${schedule.name} was ${paused ? "paused" : "resumed"}`));
    await announce(tx, { resource: "rotation", id });
  });
}

/** Runs that it has started go on; what they did stays in the list of runs. */
export async function deleteSchedule(actor: Actor, id: string): Promise<void> {
  authorize(actor, "edit");
  await database().$transaction(async (tx) => {
    await lockConfiguration(tx);
    const schedule = await tx.rotationSchedule.findUnique({ where: { id } });
    if (schedule === null) throw new NotFound("There is no such schedule.");
    await tx.rotationSchedule.delete({ where: { id } });
    const { name, kind, linkId, cron, timeZone } = schedule;
    await recordEvent(tx, {
      ...eventOf(actor, schedule, "deleted", `Rotation schedule ${name} was deleted`),
      before: { name, kind, linkId, cron, timeZone },
    });
    await announce(tx, { resource: "rotation", id });
  });
}

function eventOf(actor: Actor, schedule: { id: string; name: string }, verb: string, summary: string) {
  return {
    resource: "rotation",
    resourceId: schedule.id,
    resourceName: schedule.name,
    verb,
    actorId: actor.userId,
    actorName: actor.name,
    summary,
  } as const;
}
