import type { Credential, Link } from "../../generated/prisma/client.ts";
import { announce } from "../db/changes.ts";
import type { Transaction } from "../db/client.ts";
import { linkConfig } from "../links/link-config.ts";
import { touchLinks } from "../publishing/touch.ts";
import { createCredentials, retireCredential } from "./credentials.ts";
import { gatewaysWithCertificates, revokeInLists } from "./revocation-list.ts";
import { replaceRevoked } from "./revoke-certificate.ts";

/*
 * What a gateway that was revoked could still prove itself with: the certificates of its ends of links, and the pre-shared keys that it has in
 * common with other gateways of ours. Nobody can take them from the machine, so its peers must refuse them.
 */

/**
 * Revokes every certificate that the console issued to this site's gateway and that has not ended, also those that are no longer in use: the machine
 * may have kept them. Its pre-shared keys are told to nobody any more (`compileDesiredState`). All gateways concerned get a new revision.
 */
export async function revokeKeysOfGateway(tx: Transaction, siteId: string): Promise<void> {
  const links = await linksOf(tx, siteId);
  const now = new Date();
  const issued = links.flatMap((link) =>
    link.credentials.filter(({ end, certificatePem, trustedPem, notAfter }) => {
      const isOurs = certificatePem !== null && trustedPem === null && notAfter !== null && notAfter > now;
      return isOurs && end === endOf(link, siteId);
    }),
  );
  await revokeInLists(
    tx,
    issued.flatMap(({ certificatePem }) => certificatePem ?? []),
  );
  await tx.credential.updateMany({ where: { id: { in: issued.map(({ id }) => id) }, revokedAt: null }, data: { revokedAt: now } });
  await tellGateways(tx, links);
}

/** New keys for the links of a site whose gateway was revoked and is enrolled again: with them its tunnels come back. */
export async function renewKeysOfGateway(tx: Transaction, siteId: string): Promise<void> {
  const links = await linksOf(tx, siteId);
  for (const link of links) {
    const end = endOf(link, siteId);
    const inUse = link.credentials.filter(({ state }) => state !== "retired");
    const active = inUse.find((each) => each.state === "active" && each.revokedAt !== null && each.end === end);
    if (active !== undefined) await replaceRevoked(tx, { ...active, link }, end);
    const others = inUse.filter((each) => each.id !== active?.id && each.revokedAt !== null);
    for (const credential of others) await retireCredential(tx, credential);
    if (isSharedKey(link)) await replaceSharedKey(tx, link, inUse);
  }
  await tellGateways(tx, links);
}

async function replaceSharedKey(tx: Transaction, link: Link, known: readonly Credential[]): Promise<void> {
  for (const credential of known) await retireCredential(tx, credential);
  await createCredentials(tx, { id: link.id, config: linkConfig.parse(link.config) }, "active");
}

/** A third-party peer's key cannot be replaced from here. */
function isSharedKey(link: Link): boolean {
  return link.siteBId !== null && linkConfig.parse(link.config).method === "psk";
}

function linksOf(tx: Transaction, siteId: string) {
  return tx.link.findMany({ where: { OR: [{ siteAId: siteId }, { siteBId: siteId }] }, include: { credentials: true } });
}

function endOf(link: Link, siteId: string): "A" | "B" {
  return link.siteAId === siteId ? "A" : "B";
}

async function tellGateways(tx: Transaction, links: readonly Link[]): Promise<void> {
  if (links.length === 0) return;
  await touchLinks(tx, links, await gatewaysWithCertificates(tx));
  await announce(tx, ...links.map(({ id }) => ({ resource: "key", id }) as const));
}
