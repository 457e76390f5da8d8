import { formatAddress, parseAddress } from "../wire/address.ts";
import { IdType } from "../wire/iana.ts";
import { type Certificate, KeyUsage, readCertificate, sameOctets, unknownCritical } from "./certificate.ts";
import { CryptoError } from "./crypto-error.ts";
import { dnEqual, formatDn } from "./dn.ts";
import { sha1 } from "./sha1.ts";

/** The checks that a peer's certificate must pass before its key may speak for an identity (RFC 4945, RFC 5280 §6). */

/** The identity a peer claimed, as it stands in its ID payload. */
export interface ClaimedIdentity {
  readonly idType: number;
  readonly data: Uint8Array;
}

export type CertificateFailure =
  | "expired"
  | "notYetValid"
  | "untrusted"
  | "identityMismatch"
  | "unknownCriticalExtension"
  | "notForSigning"
  | "malformed"
  | "revoked"
  | "revocationUnknown";

/** `path`: from the peer's own certificate to the trusted one, both included. */
export type CertificateVerdict =
  | { readonly ok: true; readonly path: readonly Certificate[] }
  | { readonly ok: false; readonly code: CertificateFailure; readonly sentence: string };

/** Longest path from a peer's certificate to an authority, both included. */
const maxPath = 8;
/** Certificates looked at while paths are built: a peer can send authorities that all certify each other. */
const maxSteps = 100;

/** Extensions whose meaning we enforce or that cannot change the verdict; any other critical one refuses the certificate. */
export const understoodExtensions = new Set([
  "2.5.29.14", // subject key identifier
  "2.5.29.15", // key usage
  "2.5.29.17", // subject alternative name
  "2.5.29.19", // basic constraints
  "2.5.29.31", // CRL distribution points
  "2.5.29.32", // certificate policies
  "2.5.29.35", // authority key identifier
  "2.5.29.37", // extended key usage
  "1.3.6.1.5.5.7.1.1", // authority information access
]);

/** Purposes that go with IKE: its own (RFC 4945 §5.1.3.12), the three they replaced, and TLS, which many authorities put everywhere. */
const ikePurposes = new Set([
  "2.5.29.37.0", // any
  "1.3.6.1.5.5.7.3.17", // IPsec IKE
  "1.3.6.1.5.5.8.2.2", // IKE intermediate
  "1.3.6.1.5.5.7.3.5", // IPsec end system
  "1.3.6.1.5.5.7.3.6", // IPsec tunnel
  "1.3.6.1.5.5.7.3.7", // IPsec user
  "1.3.6.1.5.5.7.3.1", // TLS server
  "1.3.6.1.5.5.7.3.2", // TLS client
]);

/**
 * Whether this peer's certificate may speak for the identity it claimed. `chain[0]` is the end-entity certificate, the rest are
 * intermediates in any order; all DER. `at` is milliseconds since 1970. A certificate that is itself trusted needs no authority.
 */
export function verifyPeerCertificate(options: {
  readonly chain: readonly Uint8Array[];
  readonly trustedAuthorities: readonly Uint8Array[];
  readonly at: number;
  readonly identity: ClaimedIdentity;
}): CertificateVerdict {
  const trusted = readAll(options.trustedAuthorities, "an authority that this link trusts cannot be read");
  if (!Array.isArray(trusted)) return trusted;
  const chain = readAll(options.chain, "the peer's certificate cannot be read");
  if (!Array.isArray(chain)) return chain;
  const [leaf, ...intermediates] = chain;
  if (leaf === undefined) return refuse("untrusted", "the peer sent no certificate");
  let failure: CertificateVerdict | null = null;
  // An authority can be listed twice, once renewed: one good path is enough.
  for (const path of pathsToTrust(leaf, intermediates, trusted)) {
    const problem = checkPath(path, options.at);
    if (problem === null) return checkLeaf(leaf, options.identity) ?? { ok: true, path };
    failure ??= problem;
  }
  return (
    failure ??
    refuse("untrusted", `the certificate of ${nameOf(leaf)} was issued by ${leaf.issuerText}, which does not lead to an authority that this link trusts`)
  );
}

function readAll(list: readonly Uint8Array[], sentence: string): Certificate[] | CertificateVerdict {
  try {
    return list.map(readCertificate);
  } catch (error) {
    if (error instanceof CryptoError) return refuse("malformed", `${sentence}: ${error.message}`);
    throw error;
  }
}

/** Every way from the leaf up to and including a trusted authority, depth first, no certificate twice in one. */
function* pathsToTrust(leaf: Certificate, intermediates: readonly Certificate[], trusted: readonly Certificate[]): Generator<Certificate[]> {
  let steps = 0;
  function* climb(path: Certificate[], last: Certificate): Generator<Certificate[]> {
    if (++steps > maxSteps) return;
    if (trusted.some((authority) => sameOctets(authority.der, last.der))) yield path;
    for (const authority of trusted) if (!sameOctets(authority.der, last.der) && issued(authority, last)) yield [...path, authority];
    if (path.length >= maxPath - 1) return;
    for (const candidate of intermediates) if (!path.includes(candidate) && issued(candidate, last)) yield* climb([...path, candidate], candidate);
  }
  yield* climb([leaf], leaf);
}

/** A signature stays what it is, for as long as both certificates are in use. */
const signatures = new WeakMap<Certificate, WeakMap<Certificate, boolean>>();

function issued(issuer: Certificate, subject: Certificate): boolean {
  const known = signatures.get(issuer) ?? new WeakMap<Certificate, boolean>();
  signatures.set(issuer, known);
  const answer = known.get(subject) ?? (subject.signed.checkIssued(issuer.signed) && subject.signed.verify(issuer.publicKey));
  known.set(subject, answer);
  return answer;
}

/** Dates and extensions of every certificate, and that every issuer may issue (RFC 5280 §6.1.4). */
function checkPath(path: readonly Certificate[], at: number): CertificateVerdict | null {
  for (const [depth, certificate] of path.entries()) {
    const problem = checkDates(certificate, at) ?? checkCritical(certificate) ?? (depth === 0 ? null : checkAuthority(certificate, depth));
    if (problem !== null) return problem;
  }
  return null;
}

/** The first certificate of a path that counts no more at this time, in milliseconds since 1970; null: all do. */
export function expiredIn(path: readonly Certificate[], at: number): Extract<CertificateVerdict, { ok: false }> | null {
  for (const certificate of path) {
    const problem = at > certificate.notAfter.getTime() ? checkDates(certificate, at) : null;
    if (problem !== null) return problem;
  }
  return null;
}

function checkDates(certificate: Certificate, at: number): Extract<CertificateVerdict, { ok: false }> | null {
  const [notBefore, notAfter] = [certificate.notBefore.getTime(), certificate.notAfter.getTime()];
  if (at > notAfter) {
    const [end, now] = instants(notAfter, at);
    return refuse("expired", `the certificate of ${nameOf(certificate)} expired on ${end} (it is ${now} here)`);
  }
  if (at >= notBefore) return null;
  const [start, now] = instants(notBefore, at);
  return refuse("notYetValid", `the certificate of ${nameOf(certificate)} is not valid before ${start} (it is ${now} here: is a clock wrong?)`);
}

function checkCritical(certificate: Certificate): CertificateVerdict | null {
  const unknown = unknownCritical(certificate.extensions, understoodExtensions);
  if (unknown === null) return null;
  return refuse("unknownCriticalExtension", `the certificate of ${nameOf(certificate)} has a critical extension that is not understood here (${unknown})`);
}

/** `depth - 1` intermediates stand between this authority and the end entity. */
function checkAuthority(certificate: Certificate, depth: number): CertificateVerdict | null {
  const { basicConstraints: constraints, keyUsage: usage } = certificate;
  const maySign = usage === null || usage.has(KeyUsage.keyCertSign);
  const tooLong = constraints !== null && constraints.pathLength !== null && depth - 1 > constraints.pathLength;
  if (constraints?.isAuthority === true && maySign && !tooLong) return null;
  return refuse("untrusted", `${nameOf(certificate)} signed a certificate but is not an authority that may do so`);
}

function checkLeaf(leaf: Certificate, identity: ClaimedIdentity): CertificateVerdict | null {
  const { keyUsage: usage, extendedKeyUsage: purposes } = leaf;
  // RFC 4945 §5.1.3.2: digitalSignature or nonRepudiation when the extension is there.
  if (usage !== null && !usage.has(KeyUsage.digitalSignature) && !usage.has(KeyUsage.nonRepudiation))
    return refuse("notForSigning", `the certificate of ${nameOf(leaf)} is not meant for signatures (key usage)`);
  if (purposes !== null && !purposes.some((purpose) => ikePurposes.has(purpose)))
    return refuse("notForSigning", `the certificate of ${nameOf(leaf)} is not meant for IPsec (extended key usage ${purposes.join(", ")})`);
  if (speaksFor(leaf, identity)) return null;
  const names = [nameOf(leaf), ...leaf.alternativeNames.map((name) => printable(name.value))];
  return refuse("identityMismatch", `the peer calls itself ${identityText(identity)} but its certificate says ${names.join(", ")}`);
}

/** RFC 4945 §3.1: names and addresses against the subject alternative name, a distinguished name against the subject. */
function speaksFor(leaf: Certificate, identity: ClaimedIdentity): boolean {
  const { idType, data } = identity;
  const names = leaf.alternativeNames;
  switch (idType) {
    case IdType.DER_ASN1_DN:
      return isName(data) && dnEqual(leaf.subject, data);
    case IdType.IPV4_ADDR:
    case IdType.IPV6_ADDR:
      return names.some((name) => {
        const address = name.type === "ip" ? parseAddress(name.value) : null;
        return address !== null && sameOctets(address, data);
      });
    case IdType.FQDN:
    case IdType.RFC822_ADDR: {
      const claimed = new TextDecoder().decode(data).toLowerCase();
      const wanted = idType === IdType.FQDN ? "dns" : "email";
      return names.some((name) => name.type === wanted && name.value.toLowerCase() === claimed);
    }
    default:
      return false;
  }
}

/** Whether a certificate (`chain[0]`, its intermediates behind it) was issued by one of these authorities or leads to one. All DER. @throws CryptoError `badCertificate`. */
export function leadsToAuthority(chain: readonly Uint8Array[], authorities: readonly Uint8Array[]): boolean {
  const [leaf, ...intermediates] = chain.map(readCertificate);
  return leaf !== undefined && pathsToTrust(leaf, intermediates, authorities.map(readCertificate)).next().done !== true;
}

/** What a CERTREQ names an authority by: SHA-1 of its SubjectPublicKeyInfo (RFC 7296 §3.7). @throws CryptoError `badCertificate`. */
export function authorityKeyHash(der: Uint8Array): Uint8Array {
  const certificate = readCertificate(der);
  const hash = keyHashes.get(certificate) ?? sha1(certificate.publicKey.export({ format: "der", type: "spki" }));
  keyHashes.set(certificate, hash);
  return hash;
}

/** Every handshake names the same authorities. */
const keyHashes = new WeakMap<Certificate, Uint8Array>();

function identityText({ idType, data }: ClaimedIdentity): string {
  switch (idType) {
    case IdType.IPV4_ADDR:
    case IdType.IPV6_ADDR:
      return data.length === 4 || data.length === 16 ? formatAddress(data) : hex(data);
    case IdType.FQDN:
    case IdType.RFC822_ADDR:
      return printable(new TextDecoder().decode(data));
    case IdType.DER_ASN1_DN:
      return isName(data) ? formatDn(data) : hex(data);
    default:
      return hex(data);
  }
}

function isName(der: Uint8Array): boolean {
  try {
    formatDn(der);
    return true;
  } catch (error) {
    if (error instanceof CryptoError) return false;
    throw error;
  }
}

function nameOf(certificate: Certificate): string {
  return certificate.subjectText;
}

/** A peer's text ends up in terminals and pages: control characters do not. */
function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}]/gu, "?").slice(0, 255);
}

function hex(data: Uint8Array): string {
  return Buffer.from(data.subarray(0, 64)).toString("hex");
}

/** The days of two instants, with the time when they are on the same. */
function instants(...times: readonly number[]): string[] {
  const texts = times.map((time) => new Date(time).toISOString());
  const days = texts.map((text) => text.slice(0, 10));
  return new Set(days).size > 1 ? days : texts.map((text) => `${text.slice(0, 10)} ${text.slice(11, 19)} UTC`);
}

function refuse(code: CertificateFailure, sentence: string): Extract<CertificateVerdict, { ok: false }> {
  return { ok: false, code, sentence };
}
