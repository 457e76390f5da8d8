import type { CredentialKind } from "../../generated/prisma/enums.ts";
import type { RotationRunWhereInput } from "../../generated/prisma/models.ts";
import { recordEvent } from "../audit/record-event.ts";
import { type Actor, authorize } from "../auth/actor.ts";
import { announce } from "../db/changes.ts";
import { database, type Transaction } from "../db/client.ts";
import { lockConfiguration } from "../db/configuration-lock.ts";
import { Conflict, NotFound } from "../errors.ts";

/**
 * "Rotate now" or a dry run of a schedule: one waiting run for each link it covers and that is not being rotated. The hub's worker takes it
 * from there. Throws Conflict when there is none.
 */
export async function requestScheduledRuns(actor: Actor, scheduleId: string, dryRun: boolean): Promise<void> {
  authorize(actor, "operate");
  await database().$transaction(async (tx) => {
    await lockConfiguration(tx);
    const schedule = await tx.rotationSchedule.findUnique({ where: { id: scheduleId } });
    if (schedule === null) throw new NotFound("There is no such schedule.");
    const links = await tx.link.findMany({
      where: {
        enabled: true,
        ...(schedule.linkId === null ? {} : { id: schedule.linkId }),
        credentials: { some: { kind: schedule.kind, state: "active" } },
      },
      select: { id: true, name: true, runs: { where: openRun, select: { id: true }, take: 1 } },
      orderBy: { name: "asc" },
    });
    if (links.length === 0) throw new Conflict(`No enabled link has a ${schedule.kind === "psk" ? "pre-shared key" : "certificate"} to rotate.`);
    const idle = links.filter((link) => link.runs.length === 0);
    if (idle.length === 0) throw new Conflict(`The keys of ${nameOf(links)} are being rotated already.`);
    for (const link of idle) await requestRun(tx, { actor, link, kind: schedule.kind, scheduleId, dryRun });
  }, manyLinks);
}

/** Replaces the keys of one link now. */
export async function requestLinkRun(actor: Actor, linkId: string, dryRun: boolean): Promise<void> {
  authorize(actor, "operate");
  await database().$transaction(async (tx) => {
    await lockConfiguration(tx);
    const link = await tx.link.findUnique({ where: { id: linkId }, include: { credentials: { where: { state: "active" }, take: 1 } } });
    if (link === null) throw new NotFound("There is no such link.");
    const active = link.credentials[0];
    if (active === undefined) throw new Conflict("This link has no key in use.");
    await insistIdle(tx, link);
    await requestRun(tx, { actor, link, kind: active.kind, scheduleId: null, dryRun });
  });
}

/** @throws Conflict while the link's keys are being replaced */
export async function insistIdle(tx: Transaction, link: { readonly id: string; readonly name: string }): Promise<void> {
  if ((await tx.rotationRun.count({ where: { linkId: link.id, ...openRun } })) > 0) throw new Conflict(`The keys of ${link.name} are being rotated already.`);
}

/** A run and an event for each of a thousand links take longer than the 5 s that a transaction has by default. */
const manyLinks = { timeout: 60_000 };
const openRun: RotationRunWhereInput = { state: { in: ["waiting", "running"] } };

function nameOf(links: readonly { readonly name: string }[]): string {
  return links.length === 1 && links[0] !== undefined ? links[0].name : `all ${links.length} links`;
}

export interface RunRequest {
  readonly actor: Actor;
  readonly link: { readonly id: string; readonly name: string };
  readonly kind: CredentialKind;
  readonly scheduleId: string | null;
  readonly dryRun: boolean;
  /** The imported certificate that comes in place of the one in use. */
  readonly importId?: string;
}

/** Has a hub's worker take it up. The caller holds the configuration's lock. */
export async function requestRun(tx: Transaction, { actor, link, kind, scheduleId, dryRun, importId }: RunRequest): Promise<void> {
  const run = await tx.rotationRun.create({
    data: {
      scheduleId,
      linkId: link.id,
      linkName: link.name,
      kind,
      dryRun,
      importId: importId ?? null,
      requestedBy: actor.name,
      requestedById: actor.userId,
      sentence: "Waits for a hub to take it.",
    },
  });
  await recordEvent(tx, {
    resource: "rotation",
    resourceId: run.id,
    resourceName: link.name,
    verb: "requested",
    actorId: actor.userId,
    actorName: actor.name,
    summary: `${dryRun ? "A dry run of the rotation" : "Rotation"} of the ${kind === "psk" ? "pre-shared key" : "certificates"} of ${link.name} was requested`,
  });
  await announce(tx, { resource: "rotation", id: run.id });
}
