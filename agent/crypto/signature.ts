import { constants, createPrivateKey, type KeyObject, sign, verify } from "node:crypto";
import { AuthMethod, SignatureHash } from "../wire/iana.ts";
import { readCertificate } from "./certificate.ts";
import { CryptoError } from "./crypto-error.ts";

/**
 * Signatures in the AUTH payload: RFC 7427 (method 14, the algorithm travels as an AlgorithmIdentifier), RFC 8420 for Ed25519, and
 * the older methods 1, 9, 10 and 11 for peers that did not send SIGNATURE_HASH_ALGORITHMS.
 */

type HashName = "sha1" | "sha256" | "sha384" | "sha512";

interface DigitalSignature {
  /** DER of the AlgorithmIdentifier, as it stands on the wire. */
  readonly identifier: Uint8Array;
  readonly keyKind: "rsa" | "ec" | "ed25519";
  readonly padding: "pkcs1" | "pss" | null;
  readonly hash: HashName | null;
  readonly hashId: number;
}

const hex = (text: string) => new Uint8Array(Buffer.from(text.replaceAll(" ", ""), "hex"));

/** RSASSA-PSS parameters with this hash, MGF1 over the same, and a salt as long as the hash (RFC 7427 appendix A.4). */
const pss = (hashArc: string, saltOctets: string) =>
  hex(
    `3041 0609 2a864886f70d01010a 3034 a00f 300d 0609 6086480165030402${hashArc} 0500 a11c 301a 0609 2a864886f70d010108 300d 0609 6086480165030402${hashArc} 0500 a203 0201${saltOctets}`,
  );

/** In order of preference for each kind of key. The identifiers are those of RFC 7427 appendix A. */
const digitalSignatures: readonly DigitalSignature[] = [
  { identifier: hex("3005 0603 2b6570"), keyKind: "ed25519", padding: null, hash: null, hashId: SignatureHash.IDENTITY },
  { identifier: hex("300a 0608 2a8648ce3d040302"), keyKind: "ec", padding: null, hash: "sha256", hashId: SignatureHash.SHA2_256 },
  { identifier: hex("300a 0608 2a8648ce3d040303"), keyKind: "ec", padding: null, hash: "sha384", hashId: SignatureHash.SHA2_384 },
  { identifier: hex("300a 0608 2a8648ce3d040304"), keyKind: "ec", padding: null, hash: "sha512", hashId: SignatureHash.SHA2_512 },
  { identifier: hex("300d 0609 2a864886f70d01010b 0500"), keyKind: "rsa", padding: "pkcs1", hash: "sha256", hashId: SignatureHash.SHA2_256 },
  { identifier: hex("300d 0609 2a864886f70d01010c 0500"), keyKind: "rsa", padding: "pkcs1", hash: "sha384", hashId: SignatureHash.SHA2_384 },
  { identifier: hex("300d 0609 2a864886f70d01010d 0500"), keyKind: "rsa", padding: "pkcs1", hash: "sha512", hashId: SignatureHash.SHA2_512 },
  { identifier: pss("01", "20"), keyKind: "rsa", padding: "pss", hash: "sha256", hashId: SignatureHash.SHA2_256 },
  { identifier: pss("02", "30"), keyKind: "rsa", padding: "pss", hash: "sha384", hashId: SignatureHash.SHA2_384 },
  { identifier: pss("03", "40"), keyKind: "rsa", padding: "pss", hash: "sha512", hashId: SignatureHash.SHA2_512 },
];

/** What we accept and announce in SIGNATURE_HASH_ALGORITHMS. */
export const supportedSignatureHashes: readonly number[] = [SignatureHash.SHA2_256, SignatureHash.SHA2_384, SignatureHash.SHA2_512, SignatureHash.IDENTITY];

const fixedMethods: Readonly<Record<number, { hash: HashName; keyKind: "rsa" | "ec"; curve?: string }>> = {
  [AuthMethod.RSA_SIGNATURE]: { hash: "sha1", keyKind: "rsa" },
  [AuthMethod.ECDSA_P256_SHA256]: { hash: "sha256", keyKind: "ec", curve: "prime256v1" },
  [AuthMethod.ECDSA_P384_SHA384]: { hash: "sha384", keyKind: "ec", curve: "secp384r1" },
  [AuthMethod.ECDSA_P521_SHA512]: { hash: "sha512", keyKind: "ec", curve: "secp521r1" },
};

/**
 * The AUTH payload for these signed octets. `privateKey` is PKCS#8 DER; `peerHashes` is the peer's SIGNATURE_HASH_ALGORITHMS, or
 * null when it sent none.
 * @throws CryptoError `unsupported` when no algorithm fits the key and the peer, `badKey` for octets that are no private key.
 */
export function signAuth(privateKey: Uint8Array, peerHashes: readonly number[] | null, octets: Uint8Array): { method: number; data: Uint8Array } {
  const key = privateKeyFrom(privateKey);
  const kind = kindOf(key);
  if (peerHashes === null) return signFixed(key, kind, octets);
  const algorithm = digitalSignatures.find((candidate) => candidate.keyKind === kind && peerHashes.includes(candidate.hashId) && strongEnough(candidate, key));
  if (algorithm === undefined)
    throw new CryptoError("unsupported", `the peer takes none of the hashes that our ${kind} key can sign with (it takes ${peerHashes.join(", ")})`);
  const signature = sign(algorithm.hash, octets, signingOptions(key, algorithm));
  return {
    method: AuthMethod.DIGITAL_SIGNATURE,
    data: new Uint8Array(Buffer.concat([Uint8Array.of(algorithm.identifier.length), algorithm.identifier, signature])),
  };
}

/** A curve wants a hash of its own size at least, so that the hash is not the weaker part (RFC 5656 and RFC 4754 pair them so). */
function strongEnough(algorithm: DigitalSignature, key: KeyObject): boolean {
  if (algorithm.keyKind !== "ec") return true;
  const curve = key.asymmetricKeyDetails?.namedCurve;
  if (curve === "secp384r1") return algorithm.hash !== "sha256";
  if (curve === "secp521r1") return algorithm.hash === "sha512";
  return true;
}

function signFixed(key: KeyObject, kind: DigitalSignature["keyKind"], octets: Uint8Array): { method: number; data: Uint8Array } {
  const curve = key.asymmetricKeyDetails?.namedCurve;
  for (const [method, fixed] of Object.entries(fixedMethods)) {
    if (fixed.keyKind !== kind || (fixed.curve !== undefined && fixed.curve !== curve)) continue;
    return { method: Number(method), data: new Uint8Array(sign(fixed.hash, octets, fixedOptions(key, kind))) };
  }
  throw new CryptoError("unsupported", `the peer does not know RFC 7427 and our ${kind} key has no older method`);
}

/**
 * Verifies an AUTH payload against the public key of this certificate (DER). `peerHashes` is the peer's SIGNATURE_HASH_ALGORITHMS,
 * or null when it sent none: who knows RFC 7427 has no reason to sign with SHA-1 (RFC 7427 §1).
 * @throws CryptoError `badSignature`, `unsupported` or `badCertificate`, in a sentence.
 */
export function verifyAuth(method: number, data: Uint8Array, certificate: Uint8Array, octets: Uint8Array, peerHashes: readonly number[] | null): void {
  const { publicKey: key } = readCertificate(certificate);
  const kind = kindOf(key);
  if (method === AuthMethod.DIGITAL_SIGNATURE) return verifyDigital(key, kind, data, octets);
  const fixed = fixedMethods[method];
  if (fixed === undefined || fixed.keyKind !== kind || (fixed.curve !== undefined && fixed.curve !== key.asymmetricKeyDetails?.namedCurve))
    throw new CryptoError("unsupported", `authentication method ${method} does not fit the peer's ${kind} certificate`);
  if (fixed.hash === "sha1" && peerHashes !== null)
    throw new CryptoError("unsupported", "the peer signed with SHA-1 although it knows RFC 7427, which has better hashes");
  requireValid(verify(fixed.hash, octets, fixedOptions(key, kind), data));
}

/** RFC 4754 §7: r and s side by side; RSA: PKCS#1 v1.5. */
function fixedOptions(key: KeyObject, kind: DigitalSignature["keyKind"]) {
  return kind === "ec" ? { key, dsaEncoding: "ieee-p1363" as const } : { key, padding: constants.RSA_PKCS1_PADDING };
}

function verifyDigital(key: KeyObject, kind: DigitalSignature["keyKind"], data: Uint8Array, octets: Uint8Array): void {
  const identifierLength = data[0] ?? 0;
  const identifier = data.subarray(1, 1 + identifierLength);
  const algorithm = digitalSignatures.find((candidate) => Buffer.compare(candidate.identifier, identifier) === 0);
  if (algorithm === undefined)
    throw new CryptoError("unsupported", `the peer signed with an algorithm we do not take (${Buffer.from(identifier).toString("hex")})`);
  if (algorithm.keyKind !== kind)
    throw new CryptoError("badSignature", `the peer names a ${algorithm.keyKind} signature but its certificate holds a ${kind} key`);
  requireValid(verify(algorithm.hash, octets, signingOptions(key, algorithm), data.subarray(1 + identifierLength)));
}

/**
 * Whether `signature` is this key's over `octets`, for what authorities sign: lists of revoked certificates and the like. `identifier`
 * is the AlgorithmIdentifier in DER; one that is not taken, SHA-1's among them, makes no signature.
 */
export function verifySigned(key: KeyObject, identifier: Uint8Array, octets: Uint8Array, signature: Uint8Array): boolean {
  const algorithm = algorithmFor(key, identifier);
  return algorithm !== undefined && verify(algorithm.hash, octets, signingOptions(key, algorithm), signature);
}

/** The same on a thread of the pool. */
export async function verifySignedAside(key: KeyObject, identifier: Uint8Array, octets: Uint8Array, signature: Uint8Array): Promise<boolean> {
  const algorithm = algorithmFor(key, identifier);
  if (algorithm === undefined) return false;
  const { promise, resolve, reject } = Promise.withResolvers<boolean>();
  verify(algorithm.hash, octets, signingOptions(key, algorithm), signature, (error, isValid) => (error === null ? resolve(isValid) : reject(error)));
  return promise;
}

function algorithmFor(key: KeyObject, identifier: Uint8Array): DigitalSignature | undefined {
  return digitalSignatures.find((candidate) => candidate.keyKind === key.asymmetricKeyType && Buffer.compare(candidate.identifier, identifier) === 0);
}

function requireValid(valid: boolean): void {
  if (!valid) throw new CryptoError("badSignature", "the peer's signature does not match its certificate");
}

function signingOptions(key: KeyObject, algorithm: DigitalSignature) {
  if (algorithm.padding === "pss") return { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST };
  if (algorithm.padding === "pkcs1") return { key, padding: constants.RSA_PKCS1_PADDING };
  // Under method 14 an ECDSA signature is the DER Ecdsa-Sig-Value (RFC 7427 appendix A.3).
  return algorithm.keyKind === "ec" ? { key, dsaEncoding: "der" as const } : { key };
}

/** By the octets that a configuration holds: the key goes with them. */
const privateKeys = new WeakMap<Uint8Array, KeyObject>();

function privateKeyFrom(pkcs8: Uint8Array): KeyObject {
  const known = privateKeys.get(pkcs8);
  if (known !== undefined) return known;
  try {
    const key = createPrivateKey({ key: Buffer.from(pkcs8), format: "der", type: "pkcs8" });
    privateKeys.set(pkcs8, key);
    return key;
  } catch {
    // The cause is left out on purpose: nothing about a private key belongs in an error.
    throw new CryptoError("badKey", "the private key is not PKCS#8 in DER");
  }
}

function kindOf(key: KeyObject): DigitalSignature["keyKind"] {
  switch (key.asymmetricKeyType) {
    case "rsa":
    case "ec":
    case "ed25519":
      return key.asymmetricKeyType;
    default:
      throw new CryptoError("unsupported", `keys of the kind ${key.asymmetricKeyType} are not supported`);
  }
}
