import "reflect-metadata";
import { createHash, createPrivateKey, X509Certificate } from "node:crypto";
import * as x509 from "@peculiar/x509";
import { formatAddress, parseAddress } from "../wire/address.ts";
import { IdType } from "../wire/iana.ts";
import { CryptoError } from "./crypto-error.ts";
import { dnEqual, formatDn } from "./dn.ts";

/** Certificates for IKE (RFC 4945, RFC 5280): reading, chain building and the checks that a peer's certificate must pass. */

export interface CertificateSummary {
  readonly subject: string;
  readonly issuer: string;
  /** Milliseconds since 1970. */
  readonly notBefore: number;
  readonly notAfter: number;
  /** Upper-case hexadecimal without separators. */
  readonly serialNumber: string;
  /** SHA-256 of the DER, lower-case hexadecimal. */
  readonly fingerprint: string;
  readonly keyKind: string;
}

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
  | "malformed";

export type CertificateVerdict =
  | { readonly ok: true }
  | { readonly ok: false; readonly code: CertificateFailure; readonly sentence: string };

/** Longest path from a peer's certificate to an authority, both included: bounds the work a peer can cause. */
const maxChain = 8;

/** Extensions whose meaning we enforce or that cannot change the verdict; any other critical one refuses the certificate. */
const understoodExtensions = new Set([
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

/** All blocks of a PEM text as DER. @throws CryptoError `badCertificate` when there is none. */
export function certificatesFromPem(text: string): Uint8Array[] {
  const blocks = [...text.matchAll(/-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]+)-----END CERTIFICATE-----/g)];
  if (blocks.length === 0) throw new CryptoError("badCertificate", "there is no certificate in this text: expected -----BEGIN CERTIFICATE-----");
  return blocks.map((block) => {
    const der = new Uint8Array(Buffer.from(block[1] ?? "", "base64"));
    read(der);
    return der;
  });
}

/** A private key in PEM (PKCS#8, SEC 1 or PKCS#1, not encrypted) as PKCS#8 DER. @throws CryptoError `badKey`, without the text. */
export function privateKeyFromPem(text: string): Uint8Array {
  try {
    return new Uint8Array(createPrivateKey(text).export({ format: "der", type: "pkcs8" }));
  } catch {
    // The cause is left out on purpose: OpenSSL's message can quote its input.
    throw new CryptoError("badKey", "this is not a private key in PEM, or it is encrypted with a passphrase");
  }
}

/** @throws CryptoError `badKey` when the private key (PKCS#8 DER) is not the one of the certificate. */
export function requireMatchingKey(certificate: Uint8Array, privateKey: Uint8Array): void {
  const key = createPrivateKey({ key: Buffer.from(privateKey), format: "der", type: "pkcs8" });
  if (!read(certificate).checkPrivateKey(key))
    throw new CryptoError("badKey", `the private key does not belong to the certificate of ${certificateSummary(certificate).subject}`);
}

/** @throws CryptoError `badCertificate`. */
export function certificateSummary(der: Uint8Array): CertificateSummary {
  const certificate = read(der);
  const parsed = parse(der);
  return {
    subject: formatDn(subjectOf(der)),
    issuer: formatDn(new Uint8Array(parsed.issuerName.toArrayBuffer())),
    notBefore: parsed.notBefore.getTime(),
    notAfter: parsed.notAfter.getTime(),
    serialNumber: certificate.serialNumber,
    fingerprint: createHash("sha256").update(der).digest("hex"),
    keyKind: certificate.publicKey.asymmetricKeyType ?? "unknown",
  };
}

/** The subject's name in DER, as it goes into an ID payload of type DER_ASN1_DN. */
export function subjectOf(der: Uint8Array): Uint8Array {
  return new Uint8Array(parse(der).subjectName.toArrayBuffer());
}

/** What a CERTREQ names an authority by: SHA-1 of its SubjectPublicKeyInfo (RFC 7296 §3.7). */
export function authorityKeyHash(der: Uint8Array): Uint8Array {
  const spki = read(der).publicKey.export({ format: "der", type: "spki" });
  return new Uint8Array(createHash("sha1").update(spki).digest());
}

/**
 * Whether this peer's certificate may speak for the identity it claimed. `chain[0]` is the end-entity certificate, the rest are
 * intermediates in any order; `at` is milliseconds since 1970.
 */
export function verifyPeerCertificate(options: {
  readonly chain: readonly Uint8Array[];
  readonly trustedAuthorities: readonly Uint8Array[];
  readonly at: number;
  readonly identity: ClaimedIdentity;
}): CertificateVerdict {
  const [leaf, ...intermediates] = options.chain;
  if (leaf === undefined) return refuse("untrusted", "the peer sent no certificate");
  try {
    const path = buildPath(leaf, intermediates, options.trustedAuthorities);
    if (path === null) {
      const { subject, issuer } = certificateSummary(leaf);
      return refuse("untrusted", `the certificate of ${subject} was issued by ${issuer}, which does not lead to an authority that this link trusts`);
    }
    return checkPath(path, options.at) ?? checkLeaf(leaf, options.identity) ?? { ok: true };
  } catch (error) {
    if (error instanceof CryptoError) return refuse("malformed", `the peer's certificate cannot be read: ${error.message}`);
    throw error;
  }
}

/** From the leaf up to and including a trusted authority; depth first, each certificate used at most once. */
function buildPath(leaf: Uint8Array, intermediates: readonly Uint8Array[], trusted: readonly Uint8Array[]): Uint8Array[] | null {
  const climb = (path: Uint8Array[]): Uint8Array[] | null => {
    const last = path[path.length - 1];
    if (last === undefined) return null;
    if (trusted.some((authority) => Buffer.compare(authority, last) === 0)) return path;
    const root = trusted.find((authority) => issued(authority, last));
    if (root !== undefined) return [...path, root];
    if (path.length >= maxChain - 1) return null;
    for (const candidate of intermediates) {
      if (path.includes(candidate) || !issued(candidate, last)) continue;
      const found = climb([...path, candidate]);
      if (found !== null) return found;
    }
    return null;
  };
  return climb([leaf]);
}

function issued(issuer: Uint8Array, subject: Uint8Array): boolean {
  const by = read(issuer);
  const certificate = read(subject);
  return certificate.checkIssued(by) && certificate.verify(by.publicKey);
}

/** Dates and extensions of every certificate, and that every issuer may issue (RFC 5280 §6.1.4). */
function checkPath(path: readonly Uint8Array[], at: number): CertificateVerdict | null {
  for (const [depth, der] of path.entries()) {
    const parsed = parse(der);
    const name = formatDn(subjectOf(der));
    if (at > parsed.notAfter.getTime()) return refuse("expired", `the certificate of ${name} expired on ${day(parsed.notAfter)} (it is ${day(new Date(at))} here)`);
    if (at < parsed.notBefore.getTime())
      return refuse("notYetValid", `the certificate of ${name} is not valid before ${day(parsed.notBefore)} (it is ${day(new Date(at))} here: is a clock wrong?)`);
    const unknown = parsed.extensions.find((extension) => extension.critical && !understoodExtensions.has(extension.type));
    if (unknown !== undefined)
      return refuse("unknownCriticalExtension", `the certificate of ${name} has a critical extension that is not understood here (${unknown.type})`);
    if (depth === 0) continue;
    const constraints = parsed.getExtension(x509.BasicConstraintsExtension);
    const usage = parsed.getExtension(x509.KeyUsagesExtension);
    const maySign = usage === null || (usage.usages & x509.KeyUsageFlags.keyCertSign) !== 0;
    // `depth - 1` intermediates stand between this authority and the end entity.
    const tooLong = constraints?.pathLength !== undefined && depth - 1 > constraints.pathLength;
    if (constraints?.ca !== true || !maySign || tooLong) return refuse("untrusted", `${name} signed a certificate but is not an authority that may do so`);
  }
  return null;
}

function checkLeaf(leaf: Uint8Array, identity: ClaimedIdentity): CertificateVerdict | null {
  const parsed = parse(leaf);
  const usage = parsed.getExtension(x509.KeyUsagesExtension);
  // RFC 4945 §5.1.3.2: digitalSignature or nonRepudiation when the extension is there.
  if (usage !== null && (usage.usages & (x509.KeyUsageFlags.digitalSignature | x509.KeyUsageFlags.nonRepudiation)) === 0)
    return refuse("notForSigning", `the certificate of ${formatDn(subjectOf(leaf))} is not meant for signatures (key usage)`);
  if (certificateHasIdentity(leaf, identity)) return null;
  return refuse(
    "identityMismatch",
    `the peer calls itself ${identityText(identity)} but its certificate says ${[formatDn(subjectOf(leaf)), ...alternativeNames(parsed).map((n) => n.value)].join(", ")}`,
  );
}

/** RFC 4945 §3.1: names and addresses against the subject alternative name, a distinguished name against the subject. */
export function certificateHasIdentity(der: Uint8Array, identity: ClaimedIdentity): boolean {
  if (identity.idType === IdType.DER_ASN1_DN) return dnEqual(subjectOf(der), identity.data);
  const names = alternativeNames(parse(der));
  if (identity.idType === IdType.IPV4_ADDR || identity.idType === IdType.IPV6_ADDR)
    return names.some((name) => name.type === "ip" && Buffer.compare(parseAddress(name.value) ?? new Uint8Array(0), identity.data) === 0);
  const claimed = identityText(identity).toLowerCase();
  const wanted = { [IdType.FQDN]: "dns", [IdType.RFC822_ADDR]: "email" }[identity.idType];
  return names.some((name) => name.type === wanted && name.value.toLowerCase() === claimed);
}

/** Text of an ID payload for sentences and traces. */
export function identityText(identity: ClaimedIdentity): string {
  switch (identity.idType) {
    case IdType.IPV4_ADDR:
    case IdType.IPV6_ADDR:
      return identity.data.length === 4 || identity.data.length === 16 ? formatAddress(identity.data) : Buffer.from(identity.data).toString("hex");
    case IdType.FQDN:
    case IdType.RFC822_ADDR:
      return new TextDecoder().decode(identity.data);
    case IdType.DER_ASN1_DN:
      return formatDn(identity.data);
    default:
      return Buffer.from(identity.data).toString("hex");
  }
}

function alternativeNames(parsed: x509.X509Certificate): { type: string; value: string }[] {
  const extension = parsed.getExtension(x509.SubjectAlternativeNameExtension);
  return extension === null ? [] : extension.names.toJSON().map(({ type, value }) => ({ type, value: String(value) }));
}

function refuse(code: CertificateFailure, sentence: string): CertificateVerdict {
  return { ok: false, code, sentence };
}

function day(date: Date): string {
  return date.toISOString().slice(0, 10);
}

function read(der: Uint8Array): X509Certificate {
  try {
    return new X509Certificate(der);
  } catch (error) {
    throw new CryptoError("badCertificate", "this is not an X.509 certificate", { cause: error });
  }
}

/** The second parser is for what node:crypto does not show: extensions and their criticality. */
function parse(der: Uint8Array): x509.X509Certificate {
  try {
    return new x509.X509Certificate(new Uint8Array(der));
  } catch (error) {
    throw new CryptoError("badCertificate", "this is not an X.509 certificate", { cause: error });
  }
}
