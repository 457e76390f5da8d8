import type { Credential, Link } from "../../generated/prisma/client.ts";
import { recordEvent } from "../audit/record-event.ts";
import { type Actor, authorize } from "../auth/actor.ts";
import { announce } from "../db/changes.ts";
import { database, type Transaction } from "../db/client.ts";
import { lockConfiguration } from "../db/configuration-lock.ts";
import { Conflict, NotFound } from "../errors.ts";
import { linkConfig } from "../links/link-config.ts";
import { touchLinks } from "../publishing/touch.ts";
import { certificateFor, retireCredential } from "./credentials.ts";
import { gatewaysWithCertificates, revokeInLists } from "./revocation-list.ts";

/**
 * Takes a link certificate of the console's own authority back, and tells every gateway: SAs that it authenticated end. With `reissue` its end
 * gets a new one at once and the link comes back with it; without, the link stays down until `reissueCertificate`. Throws Conflict for any other
 * key, and while keys are being replaced.
 */
export async function revokeCertificate(actor: Actor, credentialId: string, reissue = true): Promise<void> {
  authorize(actor, "edit");
  await database().$transaction(async (tx) => {
    const { credential, end, certificatePem } = await ownCertificate(tx, credentialId);
    if (credential.revokedAt !== null) throw new Conflict("This certificate is revoked already.");
    await revokeInLists(tx, [{ certificatePem, name: nameOf(credential, end) }], "keyCompromise");
    await tx.credential.update({ where: { id: credential.id }, data: { revokedAt: new Date() } });
    if (reissue) await replaceRevoked(tx, credential, end);
    const of = `The certificate of ${siteAt(credential.link, end)?.name ?? ""} for ${credential.link.name} was revoked`;
    await recordEvent(tx, eventOf(actor, credential, end, "revoked", reissue ? `${of} and a new one issued` : of));
    await tellGateways(tx, credential.link);
  });
}

/** Gives an end whose certificate was revoked a new one: the link comes back with it. Throws Conflict for any other key. */
export async function reissueCertificate(actor: Actor, credentialId: string): Promise<void> {
  authorize(actor, "edit");
  await database().$transaction(async (tx) => {
    const { credential, end } = await ownCertificate(tx, credentialId);
    if (credential.revokedAt === null) throw new Conflict("This certificate is not revoked. Replace issues a new one without an interruption.");
    const site = siteAt(credential.link, end);
    if (site?.gateway?.revokedAt != null)
      throw new Conflict(`The gateway of ${site.name} is revoked. Enrol it again: its links get new certificates with that.`);
    await replaceRevoked(tx, credential, end);
    await recordEvent(tx, eventOf(actor, credential, end, "issued", `A new certificate of ${site?.name ?? ""} for ${credential.link.name} was issued`));
    await tellGateways(tx, credential.link);
  });
}

/** Takes a revoked certificate out of use and issues its end's next one. */
export async function replaceRevoked(tx: Transaction, credential: Credential & { readonly link: Link }, end: "A" | "B"): Promise<void> {
  const config = linkConfig.parse(credential.link.config);
  const identity = end === "A" ? config.identityA : config.peer.identity;
  await retireCredential(tx, credential);
  await certificateFor(tx, { linkId: credential.linkId, end, identity, state: "active", activatedAt: new Date() });
}

async function ownCertificate(tx: Transaction, credentialId: string) {
  await lockConfiguration(tx);
  const sites = { siteA: { include: { gateway: true } }, siteB: { include: { gateway: true } } } as const;
  const credential = await tx.credential.findUnique({
    where: { id: credentialId },
    include: { link: { include: { ...sites, runs: { where: { state: { in: ["waiting", "running"] } }, select: { id: true } } } } },
  });
  if (credential === null) throw new NotFound("There is no such certificate.");
  const { link, end, certificatePem } = credential;
  if ((end !== "A" && end !== "B") || certificatePem === null || credential.trustedPem !== null)
    throw new Conflict("Only a certificate that this console issued can be revoked here. Another authority's is revoked by that authority.");
  if (credential.state !== "active") throw new Conflict("This certificate is not in use any more.");
  if (link.runs.length > 0) throw new Conflict(`The keys of ${link.name} are being replaced. Revoke when that has ended, or give it up under Rotations.`);
  return { credential, end: end as "A" | "B", certificatePem };
}

type OwnCertificate = Awaited<ReturnType<typeof ownCertificate>>["credential"];

function siteAt(link: OwnCertificate["link"], end: "A" | "B") {
  return end === "A" ? link.siteA : link.siteB;
}

function nameOf(credential: OwnCertificate, end: "A" | "B"): string {
  return `${credential.link.name}, ${siteAt(credential.link, end)?.name ?? ""}`;
}

/** The link's own of what changed for it, all others of the new list. */
async function tellGateways(tx: Transaction, link: Link): Promise<void> {
  await touchLinks(tx, [link], await gatewaysWithCertificates(tx));
  await announce(tx, { resource: "key", id: link.id });
}

function eventOf(actor: Actor, credential: OwnCertificate, end: "A" | "B", verb: string, summary: string) {
  return {
    resource: "key",
    resourceId: credential.id,
    resourceName: nameOf(credential, end),
    verb,
    actorId: actor.userId,
    actorName: actor.name,
    summary,
  } as const;
}
