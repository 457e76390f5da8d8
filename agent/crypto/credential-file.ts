import { createPrivateKey, createPublicKey, type KeyObject } from "node:crypto";
import { type Certificate, readCertificate, sameOctets } from "./certificate.ts";
import { CryptoError } from "./crypto-error.ts";
import { readPkcs12 } from "./pkcs12.ts";

export const largestCredentialFile = 262_144;

export type CredentialFileCode =
  | "tooLarge"
  | "unknownForm"
  | "passwordNeeded"
  | "wrongPassword"
  | "weakEncryption"
  | "unsupported"
  | "broken"
  | "noKey"
  | "severalKeys"
  | "noCertificate"
  | "keyMismatch"
  | "missingIntermediate"
  | "expired"
  | "notYetValid"
  | "weakKey"
  | "unsupportedKey"
  | "noAuthority";

/** Why a file of a certificate and its key cannot be taken, and what to do. The message holds nothing of the key or of the password. */
export class CredentialFileError extends Error {
  override readonly name = "CredentialFileError";
  readonly code: CredentialFileCode;
  readonly reason: string;
  readonly advice: string;

  constructor(code: CredentialFileCode, reason: string, advice: string) {
    super(`${reason}. ${advice}.`);
    this.code = code;
    this.reason = reason;
    this.advice = advice;
  }
}

export interface CredentialFile {
  /** The own certificate, then each issuer, as CERT payloads carry them (RFC 7296 §3.6): without the root, which a peer must have anyway. */
  readonly chain: readonly Certificate[];
  /** Self-signed certificates of the file. */
  readonly roots: readonly Certificate[];
  /** PKCS #8, in clear. */
  readonly privateKeyPem: string;
  /** `RSA 3072`, `ECDSA P-256`, `Ed25519`. */
  readonly keyName: string;
  /** The issuer that the chain ends under and that is not in the file; null when its root is. */
  readonly missingIssuer: string | null;
  /** The IKE identity that the certificate speaks for: its first alternative name, else its subject (RFC 4945 §3.1). */
  readonly identity: string;
}

/**
 * Reads a certificate with its private key and chain: PKCS #12, or PEM with a key in PKCS #8 (encrypted too), PKCS #1 or SEC 1.
 * `now`, milliseconds since 1970, must lie in the own certificate's dates; null: they are not looked at.
 * @throws CredentialFileError
 */
export function readCredentialFile(octets: Uint8Array, password: string, now: number | null): CredentialFile {
  if (octets.length > largestCredentialFile)
    throw new CredentialFileError("tooLarge", "The file is larger than 256 kB", "Export only the certificate, its chain and its key");
  const { certificates, keys } = isPem(octets) ? readPem(octets, password) : readContainer(octets, password);
  const key = onlyKey(keys);
  const keyName = nameOfKey(key);
  const own = ownCertificate(certificates.map(readOne), key);
  if (now !== null) checkDates(own, now);
  const identity = own.alternativeNames.find((name) => name.type !== "url")?.value ?? own.subjectText;
  return { identity, ...chainOf(own, certificates.map(readOne)), privateKeyPem: String(key.export({ type: "pkcs8", format: "pem" })), keyName };
}

interface Parts {
  readonly certificates: readonly Uint8Array[];
  readonly keys: readonly KeyObject[];
}

function isPem(octets: Uint8Array): boolean {
  return Buffer.from(octets).includes("-----BEGIN ");
}

function readContainer(octets: Uint8Array, password: string): Parts {
  if (octets[0] !== 0x30)
    throw new CredentialFileError("unknownForm", "The file is neither PKCS #12 nor PEM", "Export the certificate with its private key as .p12, .pfx or .pem");
  try {
    const { certificates, privateKeys } = readPkcs12(octets, password);
    const keys = privateKeys.map((der) => createPrivateKey({ key: Buffer.from(der), format: "der", type: "pkcs8" }));
    for (const der of privateKeys) der.fill(0);
    return { certificates, keys };
  } catch (error) {
    throw containerError(error, password);
  }
}

function containerError(error: unknown, password: string): CredentialFileError {
  if (!(error instanceof CryptoError)) return new CredentialFileError("broken", "The private key in the file cannot be read", "Export it again");
  switch (error.code) {
    case "wrongPassword":
      return password === ""
        ? new CredentialFileError("passwordNeeded", "The file is locked with a password", "Give the password that was set when it was exported")
        : new CredentialFileError(
            "wrongPassword",
            "The password does not open the file",
            "Give the one that was set when it was exported; a damaged file looks the same",
          );
    case "weakContainer":
      return new CredentialFileError(
        "weakEncryption",
        `The file cannot be read: ${error.message}, which is no longer safe`,
        "Export it again with AES-256 and SHA-256 (Windows: Encryption AES256-SHA256; OpenSSL: openssl pkcs12 -legacy -in old.p12 -nodes | openssl pkcs12 -export -out new.p12)",
      );
    case "unsupported":
      return new CredentialFileError(
        "unsupported",
        `The file cannot be read: ${error.message}`,
        "Export it again with AES-256 and SHA-256, locked by a password",
      );
    default:
      return new CredentialFileError(
        "broken",
        "The file is no whole PKCS #12 file with a certificate and its private key",
        "Export the certificate again, with its private key, as .p12 or .pfx",
      );
  }
}

function readPem(octets: Uint8Array, password: string): Parts {
  const text = Buffer.from(octets).toString("latin1");
  const blocks = [...text.matchAll(/-----BEGIN ([A-Z0-9 ]+)-----([\s\S]*?)-----END \1-----/g)];
  const certificates = blocks.filter((block) => block[1] === "CERTIFICATE").map((block) => new Uint8Array(Buffer.from(block[2] ?? "", "base64")));
  const keys = blocks.filter((block) => block[1]?.endsWith("PRIVATE KEY")).map((block) => readPemKey(block[0], password));
  return { certificates, keys };
}

function readPemKey(pem: string, password: string): KeyObject {
  const isLocked = pem.startsWith("-----BEGIN ENCRYPTED ") || pem.includes("ENCRYPTED\n") || pem.includes("ENCRYPTED\r");
  if (isLocked && password === "")
    throw new CredentialFileError(
      "passwordNeeded",
      "The private key in the file is locked with a password",
      "Give the password that was set when it was exported",
    );
  try {
    return createPrivateKey({ key: pem, format: "pem", ...(isLocked ? { passphrase: password } : {}) });
  } catch {
    // What OpenSSL said stays out: nothing about a private key belongs in an error.
    if (isLocked)
      throw new CredentialFileError(
        "wrongPassword",
        "The password does not open the private key",
        "Give the one that was set when it was exported; a damaged file looks the same",
      );
    throw new CredentialFileError(
      "unsupportedKey",
      "The private key in the file cannot be read",
      "Give it as PKCS #8, PKCS #1 or SEC 1 of an RSA, ECDSA or Ed25519 key",
    );
  }
}

function onlyKey(keys: readonly KeyObject[]): KeyObject {
  const [key, another] = keys;
  if (key === undefined) throw new CredentialFileError("noKey", "There is no private key in the file", "Export the certificate together with its private key");
  if (another !== undefined)
    throw new CredentialFileError("severalKeys", `There are ${keys.length} private keys in the file`, "Export one certificate with its own key alone");
  return key;
}

const curves: Readonly<Record<string, string>> = { prime256v1: "P-256", secp384r1: "P-384", secp521r1: "P-521" };

/** @throws CredentialFileError for keys that the engine does not sign with (agent/crypto/signature.ts) and for short ones (RFC 8247 §3). */
function nameOfKey(key: KeyObject): string {
  const details = key.asymmetricKeyDetails;
  switch (key.asymmetricKeyType) {
    case "rsa":
      if ((details?.modulusLength ?? 0) >= 2_048) return `RSA ${details?.modulusLength}`;
      throw new CredentialFileError(
        "weakKey",
        `The RSA key has ${details?.modulusLength} bits, which can be broken`,
        "Make a key of 2,048 bits or more, or ECDSA P-256, and have it certified",
      );
    case "ec": {
      const curve = curves[details?.namedCurve ?? ""];
      if (curve !== undefined) return `ECDSA ${curve}`;
      throw new CredentialFileError(
        "unsupportedKey",
        `The key is on the curve ${details?.namedCurve}, which IKE has no signature for`,
        "Use P-256, P-384 or P-521",
      );
    }
    case "ed25519":
      return "Ed25519";
    default:
      throw new CredentialFileError(
        "unsupportedKey",
        `The key is of the kind ${key.asymmetricKeyType}`,
        "Use RSA of 2,048 bits or more, ECDSA P-256, P-384 or P-521, or Ed25519",
      );
  }
}

function readOne(der: Uint8Array): Certificate {
  try {
    return readCertificate(der);
  } catch (error) {
    if (!(error instanceof CryptoError)) throw error;
    throw new CredentialFileError("broken", `A certificate in the file cannot be read: ${error.message}`, "Export it again");
  }
}

function ownCertificate(certificates: readonly Certificate[], key: KeyObject): Certificate {
  if (certificates.length === 0)
    throw new CredentialFileError(
      "noCertificate",
      "There is no certificate in the file",
      "Export the certificate together with its private key, as .p12 or .pem",
    );
  const wanted = publicOctets(createPublicKey(key));
  const own = certificates.find((certificate) => sameOctets(publicOctets(certificate.publicKey), wanted));
  if (own === undefined)
    throw new CredentialFileError(
      "keyMismatch",
      `The private key belongs to none of the ${certificates.length} certificates in the file (the first is of ${certificates[0]?.subjectText})`,
      "Give the key that this certificate was requested with",
    );
  return own;
}

function publicOctets(key: KeyObject): Uint8Array {
  return key.export({ type: "spki", format: "der" });
}

function checkDates(own: Certificate, now: number): void {
  if (own.notAfter.getTime() < now)
    throw new CredentialFileError("expired", `The certificate of ${own.subjectText} expired on ${day(own.notAfter)}`, "Have it renewed and import the new one");
  if (own.notBefore.getTime() > now)
    throw new CredentialFileError(
      "notYetValid",
      `The certificate of ${own.subjectText} is valid only from ${day(own.notBefore)}`,
      "Import it then, or set this machine's clock right",
    );
}

function day(date: Date): string {
  return date.toISOString().slice(0, 10);
}

/** From the own certificate on, each issuer that is in the file. A file that has authorities but not the next one lacks an intermediate. */
function chainOf(own: Certificate, certificates: readonly Certificate[]): Pick<CredentialFile, "chain" | "roots" | "missingIssuer"> {
  const roots = certificates.filter((certificate) => certificate !== own && isSelfSigned(certificate));
  const chain = [own];
  for (let last = own; ; ) {
    if (isSelfSigned(last) || roots.some((root) => isIssuedBy(last, root))) return { chain, roots, missingIssuer: null };
    const issuer = certificates.find((candidate) => !chain.includes(candidate) && !roots.includes(candidate) && isIssuedBy(last, candidate));
    if (issuer === undefined) break;
    chain.push(issuer);
    last = issuer;
  }
  const last = chain.at(-1) ?? own;
  const left = certificates.filter((certificate) => !chain.includes(certificate));
  if (left.length > 0)
    throw new CredentialFileError(
      "missingIntermediate",
      `The chain has a gap: ${last.issuerText}, who signed the certificate of ${last.subjectText}, is not in the file, but other authorities are`,
      "Export the certificate with its whole path, or add the missing one to the PEM",
    );
  return { chain, roots, missingIssuer: last.issuerText };
}

function isSelfSigned(certificate: Certificate): boolean {
  return sameOctets(certificate.subject, certificate.issuer) && isIssuedBy(certificate, certificate);
}

function isIssuedBy(certificate: Certificate, issuer: Certificate): boolean {
  return sameOctets(certificate.issuer, issuer.subject) && certificate.signed.verify(issuer.publicKey);
}

/** Every certificate of a PEM text, each of an authority: what a peer's certificate is to chain to. @throws CredentialFileError */
export function readAuthorities(pem: string): Certificate[] {
  const found = readPem(new TextEncoder().encode(pem), "").certificates.map(readOne);
  if (found.length === 0)
    throw new CredentialFileError(
      "noCertificate",
      "There is no certificate in PEM here",
      "Paste the authority's certificate from -----BEGIN CERTIFICATE----- on",
    );
  const other = found.find((certificate) => certificate.basicConstraints?.isAuthority !== true && !isSelfSigned(certificate));
  if (other !== undefined)
    throw new CredentialFileError(
      "noAuthority",
      `The certificate of ${other.subjectText} is not an authority's`,
      "Give the certificate of the authority that signs the peer's",
    );
  return found;
}

/** One certificate after another, as `decodePem` reads them. */
export function pemOf(certificates: readonly Certificate[]): string {
  return certificates.map((certificate) => certificate.signed.toString()).join("");
}
