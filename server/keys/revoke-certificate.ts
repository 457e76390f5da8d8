import { recordEvent } from "../audit/record-event.ts";
import { type Actor, authorize } from "../auth/actor.ts";
import { announce } from "../db/changes.ts";
import { database } from "../db/client.ts";
import { lockConfiguration } from "../db/configuration-lock.ts";
import { Conflict, NotFound } from "../errors.ts";
import { linkConfig } from "../links/link-config.ts";
import { gatewaysOfLink, touchGateways } from "../publishing/touch.ts";
import { certificateFor, retireCredential } from "./credentials.ts";
import { gatewaysWithCertificates, revokeInList } from "./revocation-list.ts";

/**
 * Takes a link certificate of the console's own authority back and gives its end a new one. Every gateway learns both at once: SAs that the
 * certificate authenticated end, and the link comes back with the new one. Throws Conflict for any other key, and while keys are being replaced.
 */
export async function revokeCertificate(actor: Actor, credentialId: string): Promise<void> {
  authorize(actor, "edit");
  await database().$transaction(async (tx) => {
    await lockConfiguration(tx);
    const credential = await tx.credential.findUnique({
      where: { id: credentialId },
      include: { link: { include: { siteA: true, siteB: true, runs: { where: { state: { in: ["waiting", "running"] } }, select: { id: true } } } } },
    });
    if (credential === null) throw new NotFound("There is no such certificate.");
    const { link, end, certificatePem } = credential;
    if ((end !== "A" && end !== "B") || certificatePem === null || credential.trustedPem !== null)
      throw new Conflict("Only a certificate that this console issued can be revoked here. Another authority's is revoked by that authority.");
    if (credential.state !== "active") throw new Conflict("This certificate is not in use any more.");
    if (link.runs.length > 0) throw new Conflict(`The keys of ${link.name} are being replaced. Revoke when that has ended, or give it up under Rotations.`);
    const config = linkConfig.parse(link.config);
    const identity = end === "A" ? config.identityA : config.peer.identity;
    await revokeInList(tx, certificatePem);
    await retireCredential(tx, credential);
    await certificateFor(tx, { linkId: link.id, end, identity, state: "active", activatedAt: new Date() });
    const site = (end === "A" ? link.siteA : link.siteB)?.name ?? "";
    await recordEvent(tx, {
      resource: "key",
      resourceId: credential.id,
      resourceName: `${link.name}, ${site}`,
      verb: "revoked",
      actorId: actor.userId,
      actorName: actor.name,
      summary: `The certificate of ${site} for ${link.name} was revoked and a new one issued`,
    });
    const own = await gatewaysOfLink(tx, link);
    await touchGateways(tx, own, [link.id]);
    await touchGateways(
      tx,
      (await gatewaysWithCertificates(tx)).filter((id) => !own.includes(id)),
      [],
    );
    await announce(tx, { resource: "key", id: link.id });
  });
}
