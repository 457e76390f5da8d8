import "reflect-metadata";
import { X509Certificate as NodeCertificate } from "node:crypto";
import { AuthorityKeyIdentifierExtension, Extension, PemConverter, X509Certificate, X509CrlGenerator, X509CrlReason } from "@peculiar/x509";
import type { Authority } from "../../generated/prisma/client.ts";
import type { RevocationReason } from "../../generated/prisma/enums.ts";
import { database, type Transaction } from "../db/client.ts";
import { lockConfiguration } from "../db/configuration-lock.ts";
import { linkConfig } from "../links/link-config.ts";
import { touchGateways } from "../publishing/touch.ts";
import { signatureOf, signingKeyOf } from "./authority.ts";

/*
 * Revocation lists (RFC 5280 §5) of the authority that issues link certificates. They go to the gateways with the desired state (docs/adr/0011):
 * a gateway needs to reach nobody, and one that was told without its console knows for as long as a certificate could be valid.
 */

const dayMilliseconds = 86_400_000;
/** As long as the longest-lived certificate that may be in one. */
const validMilliseconds = 90 * dayMilliseconds;
const renewMilliseconds = 30 * dayMilliseconds;
/** For clocks of gateways that are behind. */
const backdateMilliseconds = 300_000;

export interface ToRevoke {
  readonly certificatePem: string;
  /** The link and the site it is for, for people. */
  readonly name: string;
}

/**
 * Puts certificates into their authorities' lists, and makes those lists anew; what is in one already stays as it is. Returns how many were not.
 * Throws when none of the console's authorities issued one of them.
 */
export async function revokeInLists(tx: Transaction, certificates: readonly ToRevoke[], reason: RevocationReason): Promise<number> {
  const authorities = await tx.authority.findMany({ where: { purpose: "ipsec" } });
  const changed = new Set<Authority>();
  let added = 0;
  for (const { certificatePem, name } of certificates) {
    const certificate = new NodeCertificate(certificatePem);
    const authority = authorities.find((each) => certificate.verify(new NodeCertificate(each.certificatePem).publicKey));
    if (authority === undefined) throw new Error(`no authority of this console issued the certificate with serial number ${certificate.serialNumber}`);
    const entry = {
      serial: certificate.serialNumber.toLowerCase(),
      authorityId: authority.id,
      subject: certificate.subject,
      name,
      reason,
      revokedAt: new Date(),
      notAfter: certificate.validToDate,
    };
    const { count } = await tx.revokedCertificate.createMany({ data: [entry], skipDuplicates: true });
    added += count;
    if (count > 0) changed.add(authority);
  }
  for (const authority of changed) await makeList(tx, authority);
  return added;
}

/** PEM of the newest list of each authority of link certificates; an authority that never needed one has none. */
export function revocationLists(authorities: readonly Authority[]): string[] {
  return authorities.flatMap(({ revocationListPem }) => (revocationListPem === null ? [] : [revocationListPem]));
}

/** Makes sure that the authorities of link certificates have lists: for links that insist on knowing. */
export async function ensureLists(tx: Transaction): Promise<void> {
  for (const authority of await tx.authority.findMany({ where: { purpose: "ipsec", revocationListPem: null } })) await makeList(tx, authority);
}

/** Makes lists anew that are a month old, and tells the gateways. Several hubs may call it. */
export async function renewLists(now: Date): Promise<void> {
  const old = { purpose: "ipsec" as const, notAfter: { gt: now }, revocationListAt: { lt: new Date(now.getTime() - renewMilliseconds) } };
  if ((await database().authority.count({ where: old })) === 0) return;
  await database().$transaction(async (tx) => {
    await lockConfiguration(tx);
    const authorities = await tx.authority.findMany({ where: old });
    for (const authority of authorities) await makeList(tx, authority, now);
    if (authorities.length > 0) await touchGateways(tx, await gatewaysWithCertificates(tx), []);
  });
}

/** The gateways of links whose ends have certificates of the console's authority: they are told its lists. */
export async function gatewaysWithCertificates(tx: Transaction): Promise<string[]> {
  const links = await tx.link.findMany({ where: { siteBId: { not: null } } });
  const siteIds = links
    .filter((link) => linkConfig.parse(link.config).method === "certificate")
    .flatMap(({ siteAId, siteBId }) => [siteAId, siteBId ?? siteAId]);
  const gateways = await tx.gateway.findMany({ where: { siteId: { in: siteIds } }, select: { id: true } });
  return gateways.map(({ id }) => id);
}

/** A list has every revoked certificate until it would have ended, with a day for clocks that are behind. */
async function makeList(tx: Transaction, authority: Authority, now = new Date()): Promise<void> {
  const { crlNumber } = await tx.authority.update({ where: { id: authority.id }, data: { crlNumber: { increment: 1 } }, select: { crlNumber: true } });
  const revoked = await tx.revokedCertificate.findMany({
    where: { authorityId: authority.id, notAfter: { gt: new Date(now.getTime() - dayMilliseconds) } },
    orderBy: { revokedAt: "asc" },
  });
  const issuer = new X509Certificate(authority.certificatePem);
  const list = await X509CrlGenerator.create({
    issuer: issuer.subject,
    thisUpdate: new Date(now.getTime() - backdateMilliseconds),
    nextUpdate: new Date(now.getTime() + validMilliseconds),
    entries: revoked.map(({ serial, revokedAt, reason }) => ({ serialNumber: serial, revocationDate: revokedAt, reason: X509CrlReason[reason] })),
    extensions: [await AuthorityKeyIdentifierExtension.create(await issuer.publicKey.export()), new Extension("2.5.29.20", false, integerInDer(crlNumber))],
    signingAlgorithm: signatureOf,
    signingKey: await signingKeyOf(tx, authority),
  });
  // The library's own PEM has the label of another thing.
  await tx.authority.update({ where: { id: authority.id }, data: { revocationListPem: PemConverter.encode(list.rawData, "X509 CRL"), revocationListAt: now } });
}

/** A number from 0 on, as short as DER wants it. */
function integerInDer(value: number): Uint8Array<ArrayBuffer> {
  const octets = [...Buffer.from(value.toString(16).padStart(value.toString(16).length + (value.toString(16).length % 2), "0"), "hex")];
  if ((octets[0] ?? 0) >= 0x80) octets.unshift(0);
  return new Uint8Array([2, octets.length, ...octets]);
}
