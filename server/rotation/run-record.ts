import type { RotationRun } from "../../generated/prisma/client.ts";
import { recordEvent } from "../audit/record-event.ts";
import { announce } from "../db/changes.ts";
import { database, type Transaction } from "../db/client.ts";
import { RotationFailed } from "./gateway-steps.ts";
import type { Lease } from "./lease.ts";
import { pastTense, positionOf, type StepName } from "./steps.ts";

const waitMilliseconds = 60_000;

/**
 * Does a step unless it ended before, and writes down how it ended; false: it failed. `onFailure` is in the transaction of the failed step.
 * Any error but RotationFailed leaves the step open, to be done again.
 */
export async function recordedStep(
  lease: Lease,
  name: StepName,
  work: () => Promise<string>,
  onFailure: (tx: Transaction, run: RotationRun, message: string) => Promise<void>,
): Promise<boolean> {
  const key = { runId_position: { runId: lease.runId, position: positionOf(name) } };
  const known = await database().rotationStep.findUnique({ where: key });
  if (known !== null && known.state !== "running") return known.state === "succeeded";
  if (known === null) await openStep(lease, name);
  try {
    const message = await work();
    await write(lease, async (tx, run) => {
      await tx.rotationStep.update({ where: key, data: { state: "succeeded", message, finishedAt: new Date() } });
      await tx.rotationRun.update({ where: { id: run.id }, data: { sentence: underWay(run.reason) } });
      await recordEvent(tx, eventOf(run, pastTense[name], message));
    });
    return true;
  } catch (error) {
    if (!(error instanceof RotationFailed)) throw error;
    await write(lease, async (tx, run) => {
      await tx.rotationStep.update({ where: key, data: { state: "failed", message: error.message, finishedAt: new Date() } });
      await onFailure(tx, run, error.message);
    });
    return false;
  }
}

async function openStep(lease: Lease, name: StepName): Promise<void> {
  await write(lease, async (tx, run) => {
    await tx.rotationStep.create({ data: { runId: run.id, position: positionOf(name), name, state: "running" } });
    if (name === "stage") await recordEvent(tx, eventOf(run, "started", `Rotation of the ${keysOf(run)} of ${run.linkName} began`));
  });
}

/** From now on the run goes back, whoever works on it. */
export async function turnBack(tx: Transaction, run: RotationRun, reason: string): Promise<void> {
  await tx.rotationRun.update({ where: { id: run.id }, data: { direction: "rollingBack", reason, sentence: underWay(reason) } });
  await recordEvent(tx, eventOf(run, "reversed", underWay(reason)));
}

/** Ends the run. */
export async function finishRun(lease: Lease, state: "succeeded" | "failed" | "skipped", sentence: string): Promise<void> {
  await write(lease, async (tx, run) => {
    await tx.rotationRun.update({ where: { id: run.id }, data: { state, sentence, finishedAt: new Date(), holder: null, heldUntil: null } });
    await recordEvent(tx, eventOf(run, run.dryRun ? "tried" : state === "succeeded" ? "rotated" : state, sentence));
  });
}

/** Lets the run wait, without a worker, for what the sentence says; that is told once. */
export async function parkRun(lease: Lease, sentence: string): Promise<void> {
  await database().$transaction(async (tx) => {
    const run = await lease.hold(tx);
    await tx.rotationRun.update({ where: { id: run.id }, data: { nextTryAt: new Date(Date.now() + waitMilliseconds) } });
    if (run.sentence === sentence) return;
    await tx.rotationRun.update({ where: { id: run.id }, data: { sentence } });
    await tx.rotationStep.updateMany({ where: { runId: run.id, state: "running" }, data: { message: sentence } });
    await recordEvent(tx, eventOf(run, "delayed", sentence));
    await announce(tx, { resource: "rotation", id: run.id });
  });
}

/** What the event stream says of a run: the user who asked, or the schedule, is its actor throughout. */
export function eventOf(run: RotationRun, verb: string, summary: string) {
  return {
    resource: "rotation",
    resourceId: run.id,
    resourceName: run.linkName,
    verb,
    actorId: run.requestedById,
    actorName: run.requestedBy,
    summary,
  } as const;
}

async function write(lease: Lease, work: (tx: Transaction, run: RotationRun) => Promise<void>): Promise<void> {
  await database().$transaction(async (tx) => {
    const run = await lease.hold(tx);
    await work(tx, run);
    await announce(tx, { resource: "rotation", id: run.id });
  });
}

function underWay(reason: string | null): string {
  return reason === null ? "Under way." : `${reason} Going back to the old key.`;
}

function keysOf(run: RotationRun): string {
  return run.kind === "psk" ? "pre-shared key" : "certificates";
}
