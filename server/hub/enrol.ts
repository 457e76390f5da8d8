import { type EnrolResponse, enrolRequest } from "../../contract/enrolment.ts";
import { recordEvent } from "../audit/record-event.ts";
import { announce } from "../db/changes.ts";
import { database, type Transaction } from "../db/client.ts";
import { lockConfiguration } from "../db/configuration-lock.ts";
import { ensureAuthority, issueCertificate } from "../keys/authority.ts";
import { renewKeysOfGateway } from "../keys/gateway-keys.ts";
import { tokenHash } from "../sites/enrolment.ts";

export const gatewayCertificateDays = 90;
/** As many links as the site is at an end of get new keys when its gateway was revoked. */
const manyLinks = { timeout: 60_000 };

/** Refusals that the enrolling machine is told; anything else is a fault of ours. */
export class EnrolmentRefused extends Error {}

/**
 * Redeems a token: the machine's key is certified, older certificates of the site's gateway end. One transaction, so a token is used
 * once however many machines try.
 * @throws EnrolmentRefused with a sentence.
 */
export async function enrolGateway(body: unknown): Promise<EnrolResponse> {
  const request = enrolRequest.safeParse(body);
  if (!request.success) throw new EnrolmentRefused(`The enrolment request is malformed: ${request.error.issues[0]?.message ?? "unknown"}.`);
  const { token, csrPem, hostname, agentVersion } = request.data;
  return database().$transaction(async (tx) => {
    // A gateway that was revoked gets new keys for its links.
    await lockConfiguration(tx);
    const gatewayId = await redeem(tx, token.split(".")[1] ?? "");
    const now = new Date();
    const { revokedAt } = await tx.gateway.findUniqueOrThrow({ where: { id: gatewayId } });
    await tx.gatewayCertificate.updateMany({ where: { gatewayId, revokedAt: null }, data: { revokedAt: now } });
    const { certificatePem, caPem } = await certifyGateway(tx, gatewayId, csrPem);
    const gateway = await tx.gateway.update({
      where: { id: gatewayId },
      data: { enrolledAt: now, revokedAt: null, hostname, agentVersion },
      include: { site: true },
    });
    if (revokedAt !== null) await renewKeysOfGateway(tx, gateway.siteId);
    await recordEvent(tx, {
      resource: "gateway",
      resourceId: gatewayId,
      resourceName: gateway.site.name,
      verb: "enrolled",
      actorId: null,
      actorName: hostname,
      summary: `${hostname} was enrolled as the gateway of ${gateway.site.name}`,
    });
    await announce(tx, { resource: "gateway", id: gatewayId }, { resource: "site", id: gateway.siteId });
    return { gatewayId, siteName: gateway.site.name, certificatePem, caPem };
  }, manyLinks);
}

/** Signs a gateway's key for the connection to the hub and records the certificate. */
export async function certifyGateway(tx: Transaction, gatewayId: string, csrPem: string): Promise<{ certificatePem: string; caPem: string }> {
  const authority = await ensureAuthority(tx, "hub");
  const issued = await issue(tx, authority, gatewayId, csrPem);
  await tx.gatewayCertificate.create({
    data: {
      gatewayId,
      serial: issued.serial,
      fingerprint: issued.fingerprint,
      certificatePem: issued.certificatePem,
      notBefore: issued.notBefore,
      notAfter: issued.notAfter,
    },
  });
  return { certificatePem: issued.certificatePem, caPem: authority.certificatePem };
}

async function issue(tx: Transaction, authority: Awaited<ReturnType<typeof ensureAuthority>>, gatewayId: string, csrPem: string) {
  try {
    return await issueCertificate(tx, authority, { csrPem, commonName: gatewayId, usage: "client", days: gatewayCertificateDays });
  } catch (error) {
    throw new EnrolmentRefused("The certificate request cannot be read or is not signed by its own key.", { cause: error });
  }
}

async function redeem(tx: Transaction, secret: string): Promise<string> {
  const now = new Date();
  const hash = tokenHash(secret);
  const used = await tx.enrolmentToken.updateMany({ where: { hash, usedAt: null, expiresAt: { gt: now } }, data: { usedAt: now } });
  const token = await tx.enrolmentToken.findUnique({ where: { hash } });
  if (token === null) throw new EnrolmentRefused("This enrolment token is not known here: copy the command from the site's page again.");
  if (used.count === 1) return token.gatewayId;
  if (token.usedAt !== null) throw new EnrolmentRefused("This enrolment token was used already: make a new command on the site's page.");
  throw new EnrolmentRefused("This enrolment token has expired: make a new command on the site's page.");
}
