import type { CredentialKind } from "../../generated/prisma/enums.ts";
import { recordEvent } from "../audit/record-event.ts";
import { type Actor, authorize } from "../auth/actor.ts";
import { announce } from "../db/changes.ts";
import { database, type Transaction } from "../db/client.ts";
import { lockConfiguration } from "../db/configuration-lock.ts";
import { Conflict, NotFound } from "../errors.ts";

/** "Rotate now" or a dry run of a schedule: one waiting run for each link it covers. The hub's worker takes it from there. */
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
      select: { id: true, name: true },
      orderBy: { name: "asc" },
    });
    if (links.length === 0) throw new Conflict(`No enabled link has a ${schedule.kind === "psk" ? "pre-shared key" : "certificate"} to rotate.`);
    for (const link of links) await request(tx, { actor, link, kind: schedule.kind, scheduleId, dryRun });
  });
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
    await request(tx, { actor, link, kind: active.kind, scheduleId: null, dryRun });
  });
}

interface RunRequest {
  readonly actor: Actor;
  readonly link: { readonly id: string; readonly name: string };
  readonly kind: CredentialKind;
  readonly scheduleId: string | null;
  readonly dryRun: boolean;
}

async function request(tx: Transaction, { actor, link, kind, scheduleId, dryRun }: RunRequest): Promise<void> {
  const running = await tx.rotationRun.count({ where: { linkId: link.id, state: { in: ["waiting", "running"] } } });
  if (running > 0) throw new Conflict(`The keys of ${link.name} are being rotated already.`);
  const run = await tx.rotationRun.create({
    data: {
      scheduleId,
      linkId: link.id,
      linkName: link.name,
      kind,
      dryRun,
      requestedBy: actor.name,
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
