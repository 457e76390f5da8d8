import { recordEvent } from "../audit/record-event.ts";
import { database } from "../db/client.ts";
import { checkWithoutChange } from "./dry-run.ts";
import { insistUntilApplied, reauthenticate, RotationWaits, verifyInUse, waitUntilApplied } from "./gateway-steps.ts";
import {
  destroyOldKey,
  dropNewKey,
  isSwitched,
  restoreOldKey,
  restorePurpose,
  retirePurpose,
  type RotationContext,
  stageNewKey,
  switchToNewKey,
  withdrawOldKey,
} from "./key-changes.ts";
import { type Lease, takeLease } from "./lease.ts";
import { eventOf, finishRun, parkRun, recordedStep, turnBack } from "./run-record.ts";
import { type BackStep, backSteps, type ForwardStep, forwardSteps } from "./steps.ts";

/**
 * Replaces a link's keys without an interruption, or goes on where another worker stopped: steps and direction are in rows, and each step
 * can be done twice without harm. A failure before the old key is withdrawn turns the run back to the old key. Returns when the run has ended,
 * when it waits for a gateway, and when somebody else works on it. Any error is a fault: the run is to be tried again.
 */
export async function rotateLink(runId: string): Promise<void> {
  const lease = await takeLease(runId);
  if (lease === null) return;
  try {
    await work(lease);
  } catch (error) {
    if (!(error instanceof RotationWaits)) throw error;
    await parkRun(lease, error.message);
  } finally {
    await lease.release();
  }
}

async function work(lease: Lease): Promise<void> {
  const run = await database().rotationRun.findUniqueOrThrow({ where: { id: lease.runId }, include: { _count: { select: { steps: true } } } });
  const link = await database().link.findUnique({ where: { id: run.linkId ?? "" }, include: { siteA: true, siteB: true } });
  if (link === null) return finishRun(lease, "failed", "The link is no longer there.");
  const context: RotationContext = { lease, link, requestedBy: `Rotation for ${run.requestedBy}` };
  // What has begun is brought to an end, whatever became of the link since.
  if (run._count.steps === 0 && run.direction === "forward") {
    if (link.siteBId === null && run.importId === null)
      return finishRun(
        lease,
        "skipped",
        `The peer of ${link.name} is not a gateway of ours, so its key cannot be replaced from here: replace it by hand at both ends.`,
      );
    const revoked = await database().credential.findFirst({ where: { linkId: link.id, state: "active", revokedAt: { not: null } } });
    if (revoked !== null) {
      const site = (revoked.end === "B" ? link.siteB : link.siteA)?.name ?? "";
      return finishRun(
        lease,
        "skipped",
        `The certificate of ${site} for ${link.name} is revoked, so there is no tunnel to replace it under: issue a new one under Keys.`,
      );
    }
    if (!link.enabled) return finishRun(lease, "skipped", `${link.name} is disabled: its key is replaced when it runs again.`);
    if (run.dryRun) {
      const { ok, sentence } = await checkWithoutChange(link);
      return finishRun(lease, ok ? "succeeded" : "failed", sentence);
    }
  }
  if (run.direction === "rollingBack" || !(await goForward(context))) return goBack(context);
  const what = run.kind === "psk" ? "The pre-shared key" : run.importId === null ? "Both certificates" : "The imported certificate";
  await finishRun(lease, "succeeded", `${what} of ${link.name} ${what.startsWith("Both") ? "were" : "was"} replaced.`);
}

/** False: a step failed, and the run goes back from now on. */
async function goForward(context: RotationContext): Promise<boolean> {
  for (const name of forwardSteps) if (!(await recordedStep(context.lease, name, () => forward(name, context), turnBack))) return false;
  return true;
}

/** Does the step and returns what to say of it. From `withdraw` on nothing fails: it is waited for. */
async function forward(name: ForwardStep, context: RotationContext): Promise<string> {
  const { link } = context;
  switch (name) {
    case "stage":
      await stageNewKey(context);
      await waitUntilApplied(link.id);
      return link.siteBId === null ? "The gateway holds the old key and the new one." : "Both ends accept the old key and the new one.";
    case "switch":
      await switchToNewKey(context);
      await waitUntilApplied(link.id);
      return `${who(link)} with the new key.`;
    case "reauthenticate":
      return reauthenticate(link, context.requestedBy, "new");
    case "verify":
      return verifyInUse(link, context.requestedBy, "new");
    case "withdraw":
      await withdrawOldKey(context);
      await insistUntilApplied(link.id, retirePurpose);
      return link.siteBId === null ? "The gateway has forgotten the old key." : "Both ends have forgotten the old key.";
    case "destroy":
      await destroyOldKey(context);
      return "The old key is destroyed.";
  }
}

/** The other end of a link to a third-party peer has no key of ours. */
function who({ siteBId }: { readonly siteBId: string | null }): string {
  return siteBId === null ? "The gateway starts" : "Both ends start";
}

/** To the end with the old key in use at both ends. What the tunnel does with it is looked at and told, and holds nothing up. */
async function goBack(context: RotationContext): Promise<void> {
  const { lease } = context;
  const steps = (await isSwitched(lease.runId)) ? backSteps : backSteps.slice(-1);
  for (const name of steps)
    await recordedStep(
      lease,
      name,
      () => back(name, context),
      (tx, run, message) => recordEvent(tx, eventOf(run, "unconfirmed", message)),
    );
  const { reason } = await database().rotationRun.findUniqueOrThrow({ where: { id: lease.runId } });
  const unverified = await database().rotationStep.findFirst({
    where: { runId: lease.runId, name: "verify the old key" satisfies BackStep, state: "failed" },
  });
  await finishRun(lease, "failed", [reason, "The old key is kept.", unverified?.message].filter((part) => part !== null && part !== undefined).join(" "));
}

async function back(name: BackStep, context: RotationContext): Promise<string> {
  const { link } = context;
  switch (name) {
    case "restore":
      await restoreOldKey(context);
      await insistUntilApplied(link.id, restorePurpose);
      return `${who(link)} with the old key again.`;
    case "reauthenticate with the old key":
      return reauthenticate(link, context.requestedBy, "old");
    case "verify the old key":
      return verifyInUse(link, context.requestedBy, "old");
    case "drop the new key":
      await dropNewKey(context);
      return "The new key is destroyed.";
  }
}

const faultReason = "A fault in the hub kept the rotation from going on; the hub's log has it.";

/**
 * Ends the tries of a run that faults kept from going on: one that can still go back does, from here; any other waits and is tried again,
 * because with its keys half withdrawn there is no other way out. Does nothing to a run that has ended or that somebody works on.
 */
export async function abandonRotation(runId: string): Promise<void> {
  const lease = await takeLease(runId);
  if (lease === null) return;
  try {
    const isTurned = await database().$transaction(async (tx) => {
      const run = await lease.hold(tx);
      const past = await tx.rotationStep.count({ where: { runId, name: { in: ["withdraw", "destroy"] satisfies ForwardStep[] } } });
      if (run.direction === "rollingBack" || past > 0) return false;
      await tx.rotationStep.updateMany({ where: { runId, state: "running" }, data: { state: "failed", message: faultReason, finishedAt: new Date() } });
      await turnBack(tx, run, faultReason);
      return true;
    });
    if (!isTurned) return await parkRun(lease, "A fault in the hub keeps the rotation from going on; the hub's log has it. It is tried again.");
  } finally {
    await lease.release();
  }
  await rotateLink(runId);
}
