import type { Credential, Link } from "../../generated/prisma/client.ts";
import { announce } from "../db/changes.ts";
import type { Transaction } from "../db/client.ts";
import { linkConfig } from "../links/link-config.ts";
import { touchLinks } from "../publishing/touch.ts";
import { createCredentials, issuedHere, retireCredential } from "./credentials.ts";
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
  const issued = links.flatMap((link) =>
    issuedHere(link.credentials.filter(({ end }) => end === endOf(link, siteId))).map((credential) => ({
      ...credential,
      name: certificateName(link, credential.end),
    })),
  );
  await revokeInLists(tx, issued, "keyCompromise");
  await tx.credential.updateMany({ where: { id: { in: issued.map(({ id }) => id) }, revokedAt: null }, data: { revokedAt: new Date() } });
  await tellGateways(tx, links);
}

/**
 * Revokes the certificates that the console issued for a link that is about to be deleted: nobody is to be believed with them any more, and nothing else
 * remembers them. Returns how many, and the gateways that must be told the list.
 */
export async function revokeKeysOfLink(tx: Transaction, link: LinkWithEnds): Promise<{ count: number; gatewayIds: string[] }> {
  const issued = issuedHere(link.credentials).map((credential) => ({ ...credential, name: certificateName(link, credential.end) }));
  const count = await revokeInLists(tx, issued, "cessationOfOperation");
  return { count, gatewayIds: count === 0 ? [] : await gatewaysWithCertificates(tx) };
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

/** What the functions here need of a link. */
export const withEnds = { credentials: true, siteA: { select: { name: true } }, siteB: { select: { name: true } } } as const;

type LinkWithEnds = Awaited<ReturnType<typeof linksOf>>[number];

function linksOf(tx: Transaction, siteId: string) {
  return tx.link.findMany({ where: { OR: [{ siteAId: siteId }, { siteBId: siteId }] }, include: withEnds });
}

function certificateName({ name, siteA, siteB }: LinkWithEnds, end: string | null): string {
  return `${name}, ${(end === "A" ? siteA : siteB)?.name ?? ""}`;
}

function endOf(link: Link, siteId: string): "A" | "B" {
  return link.siteAId === siteId ? "A" : "B";
}

async function tellGateways(tx: Transaction, links: readonly Link[]): Promise<void> {
  if (links.length === 0) return;
  await touchLinks(tx, links, await gatewaysWithCertificates(tx));
  await announce(tx, ...links.map(({ id }) => ({ resource: "key", id }) as const));
}
