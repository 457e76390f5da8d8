import type { Link, RotationRun } from "../../generated/prisma/client.ts";
import { recordEvent } from "../audit/record-event.ts";
import { announce } from "../db/changes.ts";
import { database, type Transaction } from "../db/client.ts";
import { createCredentials, retireCredential } from "../keys/credentials.ts";
import { linkConfig } from "../links/link-config.ts";
import { gatewaysOfLink, touchGateways } from "../publishing/touch.ts";
import { checkWithoutChange } from "./dry-run.ts";
import { reauthenticate, RotationFailed, verifyInUse, waitUntilApplied } from "./gateway-steps.ts";

const steps = ["stage", "switch", "reauthenticate", "verify", "retire"] as const;
type StepName = (typeof steps)[number];

type LinkWithSites = Link & { siteA: { address: string | null; name: string }; siteB: { address: string | null; name: string } | null };

/**
 * Replaces a link's keys without an interruption. Each step is written down when it is done, so another hub can go on where one
 * died, and each can be done twice without harm:
 *
 *   stage           a new key on both ends, accepted beside the old one
 *   switch          both ends use the new one for what they start
 *   reauthenticate  the initiator makes a new IKE SA with it, then deletes the old (make before break)
 *   verify          both ends say that the new key authenticated, and an echo passes
 *   retire          the old key is destroyed
 *
 * A failure before the last step puts the old key back in use, destroys the new one and says why.
 */
export async function rotateLink(runId: string): Promise<void> {
  const run = await claim(runId);
  if (run === null) return;
  const link = await database().link.findUnique({ where: { id: run.linkId ?? "" }, include: { siteA: true, siteB: true } });
  if (link === null) return finish(run, "failed", "The link is no longer there.");
  if (link.siteBId === null)
    return finish(
      run,
      "skipped",
      `The peer of ${link.name} is not a gateway of ours, so its key cannot be replaced from here: replace it by hand at both ends.`,
    );
  if (!link.enabled) return finish(run, "skipped", `${link.name} is disabled: its key is replaced when it runs again.`);
  if (run.dryRun) {
    const { ok, sentence } = await checkWithoutChange(link);
    return finish(run, ok ? "succeeded" : "failed", sentence);
  }
  await rotate(run, link);
}

async function rotate(run: RotationRun, link: LinkWithSites): Promise<void> {
  try {
    for (const name of steps) await step(run, name, () => perform(name, run, link));
  } catch (error) {
    if (!(error instanceof RotationFailed)) throw error;
    await keepOldKey(link);
    return finish(run, "failed", `${error.message} The old key is kept.`);
  }
  await finish(
    run,
    "succeeded",
    `${run.kind === "psk" ? "The pre-shared key" : "Both certificates"} of ${link.name} ${run.kind === "psk" ? "was" : "were"} replaced.`,
  );
}

/** Ends a run that faults kept from going on, with the old key in use. Does nothing to a run that has ended. */
export async function abandonRotation(runId: string): Promise<void> {
  const run = await database().rotationRun.findUnique({ where: { id: runId } });
  if (run?.state !== "running") return;
  const link = await database().link.findUnique({ where: { id: run.linkId ?? "" } });
  if (link !== null) await keepOldKey(link);
  await finish(run, "failed", "A fault in the hub kept the rotation from going on; the hub's log has it. The old key is kept.");
}

/** Does the step and returns what to say of it. */
async function perform(name: StepName, run: RotationRun, link: LinkWithSites): Promise<string> {
  switch (name) {
    case "stage":
      await change(link, async (tx) => {
        const staged = await tx.credential.count({ where: { linkId: link.id, state: "staged" } });
        if (staged === 0) await createCredentials(tx, { id: link.id, config: linkConfig.parse(link.config) }, "staged");
        await rememberFingerprints(tx, run, link.id);
      });
      await waitUntilApplied(link.id);
      return "Both ends accept the old key and the new one.";
    case "switch":
      await change(link, async (tx) => {
        const staged = await tx.credential.findMany({ where: { linkId: link.id, state: "staged" } });
        if (staged.length === 0) return;
        await tx.credential.updateMany({ where: { linkId: link.id, state: "active" }, data: { state: "retiring" } });
        await tx.credential.updateMany({ where: { id: { in: staged.map((row) => row.id) } }, data: { state: "active", activatedAt: new Date() } });
      });
      await waitUntilApplied(link.id);
      return "Both ends start with the new key.";
    case "reauthenticate":
      return reauthenticate(link, `Rotation for ${run.requestedBy}`);
    case "verify":
      return verifyInUse(link, `Rotation for ${run.requestedBy}`);
    case "retire": {
      await change(link, async (tx) => {
        for (const old of await tx.credential.findMany({ where: { linkId: link.id, state: "retiring" } })) await retireCredential(tx, old);
      });
      return "The old key is destroyed here; each gateway forgets it with its next configuration.";
    }
  }
}

/** One transaction: the credentials change and both gateways get a new revision. */
async function change(link: Link, work: (tx: Transaction) => Promise<void>): Promise<void> {
  await database().$transaction(async (tx) => {
    await work(tx);
    await touchGateways(tx, await gatewaysOfLink(tx, link), [link.id]);
    await announce(tx, { resource: "key", id: link.id });
  });
}

async function keepOldKey(link: Link): Promise<void> {
  await change(link, async (tx) => {
    const retiring = await tx.credential.findMany({ where: { linkId: link.id, state: "retiring" } });
    const isSwitched = retiring.length > 0;
    const fresh = await tx.credential.findMany({ where: { linkId: link.id, state: isSwitched ? { in: ["active", "staged"] } : "staged" } });
    if (isSwitched) await tx.credential.updateMany({ where: { id: { in: retiring.map((row) => row.id) } }, data: { state: "active" } });
    for (const row of fresh) await retireCredential(tx, row);
  });
}

async function rememberFingerprints(tx: Transaction, run: RotationRun, linkId: string): Promise<void> {
  const rows = await tx.credential.findMany({ where: { linkId, state: { in: ["active", "staged"] } }, orderBy: { end: "asc" } });
  await tx.rotationRun.update({
    where: { id: run.id },
    data: {
      oldFingerprint: rows.find((row) => row.state === "active")?.fingerprint ?? null,
      newFingerprint: rows.find((row) => row.state === "staged")?.fingerprint ?? null,
    },
  });
}

/** A waiting run becomes ours; a running one was left by a hub that died, because pg-boss gives a job to one worker at a time. */
async function claim(runId: string): Promise<RotationRun | null> {
  const db = database();
  const claimed = await db.rotationRun.updateMany({
    where: { id: runId, state: "waiting" },
    data: { state: "running", startedAt: new Date(), sentence: "Under way." },
  });
  const run = await db.rotationRun.findUnique({ where: { id: runId } });
  if (run === null || run.state !== "running") return null;
  if (claimed.count > 0) await announce(db, { resource: "rotation", id: runId });
  return run;
}

async function step(run: RotationRun, name: StepName, work: () => Promise<string>): Promise<void> {
  const db = database();
  const key = { runId: run.id, position: steps.indexOf(name) };
  const known = await db.rotationStep.findUnique({ where: { runId_position: key } });
  if (known?.state === "succeeded") return;
  // The hub died between the failure and putting the old key back: trying again could find the old key and take it for the new one.
  if (known?.state === "failed") throw new RotationFailed(known.message);
  if (known === null) await db.rotationStep.create({ data: { ...key, name, state: "running" } });
  await announce(db, { resource: "rotation", id: run.id });
  const close = async (state: "succeeded" | "failed", message: string) => {
    await db.rotationStep.update({ where: { runId_position: key }, data: { state, message, finishedAt: new Date() } });
    await announce(db, { resource: "rotation", id: run.id });
  };
  try {
    await close("succeeded", await work());
  } catch (error) {
    if (error instanceof RotationFailed) await close("failed", error.message);
    throw error;
  }
}

async function finish(run: RotationRun, state: "succeeded" | "failed" | "skipped", sentence: string): Promise<void> {
  await database().$transaction(async (tx) => {
    await tx.rotationRun.update({ where: { id: run.id }, data: { state, sentence, finishedAt: new Date() } });
    await recordEvent(tx, {
      resource: "rotation",
      resourceId: run.id,
      resourceName: run.linkName,
      verb: run.dryRun ? "tried" : state === "succeeded" ? "rotated" : state,
      actorId: null,
      actorName: run.requestedBy,
      summary: sentence,
    });
    await announce(tx, { resource: "rotation", id: run.id });
  });
}
