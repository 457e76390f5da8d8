import { recordEvent } from "../audit/record-event.ts";
import { type Actor, authorize } from "../auth/actor.ts";
import { announce } from "../db/changes.ts";
import { database, type Transaction } from "../db/client.ts";
import { Conflict, NotFound } from "../errors.ts";
import { sitesBehind } from "./gateway-steps.ts";
import { destroyOldKey, dropNewKey, isSwitched, restoreOldKey, type RotationContext, withdrawOldKey } from "./key-changes.ts";
import { type Lease, takeLease } from "./lease.ts";
import { eventOf, finishRun, turnBack } from "./run-record.ts";
import { type ForwardStep, giveUpStep, positionOf } from "./steps.ts";

/**
 * Ends a rotation that waits for a gateway that may never come back: to the old key where that can be done, which is until a gateway was told
 * to forget it; else with the new one. Nobody is waited for any more, so an end that is away may be unable to authenticate until it reaches
 * the console. Answers what came of it. Throws Conflict while a hub is working on it and when it has ended.
 */
export async function giveUpRun(actor: Actor, runId: string): Promise<{ sentence: string }> {
  authorize(actor, "operate");
  const known = await database().rotationRun.findUnique({ where: { id: runId } });
  if (known === null) throw new NotFound("There is no such rotation.");
  if (known.state !== "waiting" && known.state !== "running") throw new Conflict("This rotation has ended already.");
  const lease = await takeLease(runId);
  if (lease === null) throw new Conflict("A hub is working on this link's keys at this moment. If it waits for a gateway, try again in half a minute.");
  try {
    const sentence = await giveUp(actor, lease);
    return { sentence };
  } finally {
    await lease.release();
  }
}

async function giveUp(actor: Actor, lease: Lease): Promise<string> {
  const reason = `Given up by ${actor.name}.`;
  const run = await database().rotationRun.findUniqueOrThrow({ where: { id: lease.runId }, include: { steps: true } });
  const link = await database().link.findUnique({ where: { id: run.linkId ?? "" }, include: { siteA: true, siteB: true } });
  if (link === null || run.steps.length === 0) return end(actor, lease, "skipped", `${reason} No key was changed.`);
  const context: RotationContext = { lease, link, requestedBy: `Rotation for ${run.requestedBy}` };
  const past: readonly string[] = ["withdraw", "destroy"] satisfies ForwardStep[];
  if (run.direction === "forward" && run.steps.some((step) => past.includes(step.name))) {
    await withdrawOldKey(context);
    const behind = await sitesBehind(link.id);
    await destroyOldKey(context, false);
    return end(actor, lease, "failed", `${reason} The new key is in use and the old one is destroyed. ${unconfirmed(behind, "has forgotten the old key")}`);
  }
  if (run.direction === "forward") await database().$transaction(async (tx) => turnBack(tx, await lease.hold(tx), reason));
  if (await isSwitched(run.id)) await restoreOldKey(context);
  const behind = await sitesBehind(link.id);
  await dropNewKey(context, false);
  return end(
    actor,
    lease,
    "failed",
    `${run.reason === null ? "" : `${run.reason} `}${reason} The old key is kept. ${unconfirmed(behind, "uses the old key again")}`,
  );
}

function unconfirmed(sites: readonly string[], what: string): string {
  return sites.length === 0 ? "Both ends have confirmed it." : `${sites.join(" and ")} never confirmed that it ${what}.`;
}

/** The step, the event of who did it, and the end of the run. */
async function end(actor: Actor, lease: Lease, state: "failed" | "skipped", sentence: string): Promise<string> {
  await database().$transaction((tx) => recordStep(tx, actor, lease, sentence));
  await finishRun(lease, state, sentence);
  return sentence;
}

async function recordStep(tx: Transaction, actor: Actor, lease: Lease, message: string): Promise<void> {
  const run = await lease.hold(tx);
  const finishedAt = new Date();
  await tx.rotationStep.updateMany({ where: { runId: run.id, state: "running" }, data: { state: "failed", finishedAt } });
  await tx.rotationStep.create({ data: { runId: run.id, position: positionOf(giveUpStep), name: giveUpStep, state: "succeeded", message, finishedAt } });
  await recordEvent(tx, { ...eventOf(run, "abandoned", `Rotation of ${run.linkName}: ${message}`), actorId: actor.userId, actorName: actor.name });
  await announce(tx, { resource: "rotation", id: run.id });
}
