import type { Credential, Link, RotationRun } from "../../generated/prisma/client.ts";
import { announce } from "../db/changes.ts";
import { database, type Transaction } from "../db/client.ts";
import { createCredentials, retireCredential } from "../keys/credentials.ts";
import { Invalid } from "../errors.ts";
import { chooseImported, credentialOfImport } from "../keys/import-certificate.ts";
import { linkConfig } from "../links/link-config.ts";
import { gatewaysOfLink, touchGateways } from "../publishing/touch.ts";
import { insistNow, RotationFailed } from "./gateway-steps.ts";
import type { Lease } from "./lease.ts";

/*
 * What a rotation does to a link's keys. Each is one transaction in which both gateways get a new revision, and each can be done twice:
 * the second time it changes nothing and tells nobody.
 */

export interface RotationContext {
  readonly lease: Lease;
  readonly link: Link & {
    readonly siteA: { readonly address: string | null; readonly name: string };
    readonly siteB: { readonly address: string | null; readonly name: string } | null;
  };
  /** Who asked, for the record of commands. */
  readonly requestedBy: string;
}

export const retirePurpose = "retire the old key";
export const restorePurpose = "take the old key back into use";

/** A new key beside the old one: both are accepted, the old one is used. */
export async function stageNewKey(context: RotationContext): Promise<void> {
  const { link } = context;
  await change(context, async (tx, run) => {
    if (run.newCredentials.length > 0) return false;
    const old = await tx.credential.findMany({ where: { linkId: link.id, state: "active" }, orderBy: { end: "asc" } });
    const fresh =
      run.importId === null
        ? await createCredentials(tx, { id: link.id, config: linkConfig.parse(link.config) }, "staged")
        : [await stagedImport(tx, link.id, run.importId, old[0]?.trustedPem ?? "")];
    await tx.rotationRun.update({
      where: { id: run.id },
      data: {
        oldCredentials: old.map((row) => row.id),
        newCredentials: fresh.map((row) => row.id),
        oldFingerprint: old[0]?.fingerprint ?? null,
        newFingerprint: fresh[0]?.fingerprint ?? null,
      },
    });
    return true;
  });
}

/** @throws RotationFailed when the certificate has been deleted, or has expired, since it was chosen */
async function stagedImport(tx: Transaction, linkId: string, importId: string, trustedPem: string): Promise<Credential> {
  try {
    return await credentialOfImport(tx, linkId, await chooseImported(tx, importId, trustedPem), "staged");
  } catch (error) {
    if (!(error instanceof Invalid)) throw error;
    throw new RotationFailed(`The chosen certificate cannot be used: ${Object.values(error.fields).join(" ")}`, { cause: error });
  }
}

/** The new key is used, the old one still accepted. */
export async function switchToNewKey(context: RotationContext): Promise<void> {
  await change(context, async (tx, run) => {
    const fresh = await tx.credential.updateMany({
      where: { id: { in: run.newCredentials }, state: "staged" },
      data: { state: "active", activatedAt: new Date() },
    });
    if (fresh.count === 0) return false;
    await tx.credential.updateMany({ where: { id: { in: run.oldCredentials }, state: "active" }, data: { state: "retiring" } });
    return true;
  });
}

/** No gateway is told of the old key any more. Its secret is kept. */
export async function withdrawOldKey(context: RotationContext): Promise<void> {
  await change(context, async (tx, run) => {
    const old = await tx.credential.updateMany({ where: { id: { in: run.oldCredentials }, state: "retiring" }, data: { state: "withdrawn" } });
    return old.count > 0;
  });
}

/**
 * The old key's secret is destroyed; no gateway is told of it any more. @throws RotationWaits when one has not forgotten it yet, unless
 * nobody is `waitedFor`.
 */
export async function destroyOldKey({ lease, link }: RotationContext, waitedFor = true): Promise<void> {
  await database().$transaction(async (tx) => {
    const run = await lease.hold(tx);
    const rows = await unretired(tx, run.oldCredentials);
    if (rows.length === 0) return;
    if (waitedFor) await insistNow(tx, link.id, retirePurpose);
    for (const row of rows) await retireCredential(tx, row);
    await announce(tx, { resource: "key", id: link.id });
  });
}

/** The old key is used again, the new one still accepted. */
export async function restoreOldKey(context: RotationContext): Promise<void> {
  await change(context, async (tx, run) => {
    const old = await tx.credential.updateMany({ where: { id: { in: run.oldCredentials }, state: "retiring" }, data: { state: "active" } });
    if (old.count === 0) return false;
    await tx.credential.updateMany({ where: { id: { in: run.newCredentials }, state: "active" }, data: { state: "retiring" } });
    return true;
  });
}

/**
 * The only place where the new key's secret is destroyed. When gateways were ever told to use it, both must use the old one again.
 * @throws RotationWaits when one may still present the new key, unless nobody is `waitedFor`
 */
export async function dropNewKey(context: RotationContext, waitedFor = true): Promise<void> {
  await change(context, async (tx, run) => {
    const rows = await unretired(tx, run.newCredentials);
    // Done before: gateways that are behind are so by that, and need not be waited for.
    if (rows.length === 0) return false;
    if (waitedFor && (await isSwitched(run.id, tx))) await insistNow(tx, context.link.id, restorePurpose);
    for (const row of rows) await retireCredential(tx, row);
    return true;
  });
}

/** Whether a gateway may ever have been told to use the new key. */
export async function isSwitched(runId: string, client: Transaction = database()): Promise<boolean> {
  return (await client.rotationStep.count({ where: { runId, name: "switch" } })) > 0;
}

async function unretired(tx: Transaction, ids: readonly string[]) {
  return tx.credential.findMany({ where: { id: { in: [...ids] }, state: { not: "retired" } } });
}

/** One transaction: the keys change and, when `work` says that they did, both gateways get a new revision. */
async function change({ lease, link }: RotationContext, work: (tx: Transaction, run: RotationRun) => Promise<boolean>): Promise<void> {
  await database().$transaction(async (tx) => {
    if (!(await work(tx, await lease.hold(tx)))) return;
    await touchGateways(tx, await gatewaysOfLink(tx, link), [link.id]);
    await announce(tx, { resource: "key", id: link.id });
  });
}
