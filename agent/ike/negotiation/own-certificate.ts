import { readCertificate, sameOctets } from "../../crypto/certificate.ts";
import { CryptoError } from "../../crypto/crypto-error.ts";
import { authorityKeyHash, leadsToAuthority } from "../../crypto/x509.ts";
import { CertEncoding } from "../../wire/iana.ts";
import type { Payload } from "../../wire/ikev2/message-types.ts";
import { concatOctets } from "../../wire/octets.ts";
import type { Credentials } from "../endpoint-types.ts";

/* Which of several certificates is shown: one that leads to an authority the peer asks for (RFC 7296 §3.7). */

const HASH_OCTETS = 20;

/** The SHA-1 hashes of authorities, one after the other, that a message of the peer asks for; null: it asks for none. */
export function requestedAuthorities(payloads: readonly Payload[]): Uint8Array | null {
  const lists = payloads.flatMap((one) => (one.kind === "certreq" && one.encoding === CertEncoding.X509_SIGNATURE ? [one.authorities] : []));
  const all = concatOctets(lists);
  return all.length === 0 ? null : all;
}

type CertificateCredentials = Extract<Credentials, { method: "certificate" }>;

/**
 * The id of the certificate to show: the one in use, unless it is certain that it leads to none of the authorities that the peer asks for, and
 * that another one does. An authority is known by its own certificate: behind ours in the chain, or among those that the link trusts. Where
 * that of the one in use is not known, it may be any that the peer names and that is not known either.
 */
export function certificateToShow(credentials: CertificateCredentials, requested: Uint8Array | null): string {
  const { certificates, use } = credentials;
  const inUse = certificates.find((one) => one.id === use);
  if (requested === null || inUse === undefined || certificates.length === 1) return use;
  try {
    const known = new Map(authoritiesOf(credentials).map((der) => [textOf(authorityKeyHash(der)), der]));
    const asked = hashesIn(requested);
    const wanted = asked.flatMap((hash) => known.get(hash) ?? []);
    if (leadsToAuthority(inUse.chain, wanted)) return use;
    const isSettled = asked.every((hash) => known.has(hash)) || leadsToAuthority(inUse.chain, [...known.values()].filter(isSelfIssued));
    return isSettled ? (certificates.find((one) => leadsToAuthority(one.chain, wanted))?.id ?? use) : use;
  } catch (error) {
    // One of them cannot be read: whoever needs that one says so.
    if (!(error instanceof CryptoError)) throw error;
    return use;
  }
}

function authoritiesOf({ certificates, trustedAuthorities }: CertificateCredentials): Uint8Array[] {
  return [...trustedAuthorities, ...certificates.flatMap((one) => one.chain.slice(1))];
}

function isSelfIssued(der: Uint8Array): boolean {
  const { subject, issuer } = readCertificate(der);
  return sameOctets(subject, issuer);
}

function hashesIn(authorities: Uint8Array): string[] {
  const count = Math.floor(authorities.length / HASH_OCTETS);
  return Array.from({ length: count }, (_, index) => textOf(authorities.subarray(index * HASH_OCTETS, (index + 1) * HASH_OCTETS)));
}

function textOf(hash: Uint8Array): string {
  return Buffer.from(hash).toString("hex");
}
