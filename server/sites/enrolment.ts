import { createHash, randomBytes, X509Certificate } from "node:crypto";
import { recordEvent } from "../audit/record-event.ts";
import { type Actor, authorize } from "../auth/actor.ts";
import { announce } from "../db/changes.ts";
import { database } from "../db/client.ts";
import { lockConfiguration } from "../db/configuration-lock.ts";
import { hubUrl } from "../db/settings.ts";
import { Conflict, NotFound } from "../errors.ts";
import { ensureAuthority } from "../keys/authority.ts";
import { revokeKeysOfGateway } from "../keys/gateway-keys.ts";

const lifetimeMilliseconds = 3_600_000;
/** A site may be at an end of a thousand links, which take longer than the 5 s that a transaction has by default. */
const manyLinks = { timeout: 60_000 };

/**
 * A one-use token for a site's gateway and the command that holds it. The token pins the console's gateway authority, so that
 * the gateway trusts no other hub. Earlier unused tokens of the site end with it.
 */
export async function createEnrolmentToken(actor: Actor, siteId: string): Promise<{ command: string; token: string; expiresAt: string }> {
  authorize(actor, "edit");
  return database().$transaction(async (tx) => {
    await lockConfiguration(tx);
    const site = await tx.site.findUnique({ where: { id: siteId }, include: { gateway: true } });
    if (site?.gateway == null) throw new NotFound("There is no such site.");
    const authority = await ensureAuthority(tx, "hub");
    const secret = randomBytes(32).toString("base64url");
    const pin = createHash("sha256").update(new X509Certificate(authority.certificatePem).raw).digest("base64url");
    const token = `culvert1.${secret}.${pin}`;
    const expiresAt = new Date(Date.now() + lifetimeMilliseconds);
    await tx.enrolmentToken.deleteMany({ where: { gatewayId: site.gateway.id, usedAt: null } });
    await tx.enrolmentToken.create({ data: { gatewayId: site.gateway.id, hash: tokenHash(secret), createdBy: actor.name, expiresAt } });
    await recordEvent(tx, {
      resource: "gateway",
      resourceId: site.gateway.id,
      resourceName: site.name,
      verb: "invited",
      actorId: actor.userId,
      actorName: actor.name,
      summary: `An enrolment command for ${site.name} was created`,
    });
    return {
      command: `npx culvert-agent enrol --hub ${hubUrl()} --token ${token} && npx culvert-agent run`,
      token,
      expiresAt: expiresAt.toISOString(),
    };
  });
}

/** How a token's secret part is kept: SHA-256, hexadecimal. It has 256 random bits, so that needs no salt. */
export function tokenHash(secret: string): string {
  return createHash("sha256").update(secret).digest("hex");
}

/**
 * Revokes a gateway: the hubs drop its connection at once and take it no more until it is enrolled again, and its peers refuse what it proves
 * itself with. A third-party peer is not ours to tell.
 */
export async function revokeGateway(actor: Actor, siteId: string): Promise<void> {
  authorize(actor, "edit");
  await database().$transaction(async (tx) => {
    await lockConfiguration(tx);
    const site = await tx.site.findUnique({ where: { id: siteId }, include: { gateway: true } });
    if (site?.gateway == null) throw new NotFound("There is no such site.");
    if (site.gateway.enrolledAt === null) throw new Conflict("This site has no gateway to revoke.");
    const now = new Date();
    await tx.gateway.update({ where: { id: site.gateway.id }, data: { revokedAt: now } });
    await tx.gatewayCertificate.updateMany({ where: { gatewayId: site.gateway.id, revokedAt: null }, data: { revokedAt: now } });
    await tx.enrolmentToken.deleteMany({ where: { gatewayId: site.gateway.id, usedAt: null } });
    await revokeKeysOfGateway(tx, siteId);
    await recordEvent(tx, {
      resource: "gateway",
      resourceId: site.gateway.id,
      resourceName: site.name,
      verb: "revoked",
      actorId: actor.userId,
      actorName: actor.name,
      summary: `The gateway of ${site.name} was revoked, with the certificates of its links`,
    });
    await announce(tx, { resource: "gateway", id: site.gateway.id }, { resource: "site", id: siteId });
  }, manyLinks);
}
