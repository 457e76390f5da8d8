import { createDecipheriv, createHash, createHmac, pbkdf2Sync } from "node:crypto";
import { CryptoError } from "./crypto-error.ts";
import { type DerElement, DerTag, derChildren, oidText } from "./der.ts";
import { sameSecret } from "./same-secret.ts";

/*
 * How a PKCS #12 file is locked: encryption by a password (RFC 8018 PBES2, RFC 7292 appendix C with triple DES) and the MAC over the
 * whole (RFC 7292 §4, RFC 9579). Ciphers, hashes and PBKDF2 are OpenSSL's; only the derivation of RFC 7292 appendix B, which it does not
 * offer by itself, is put together here from its hash.
 */

export const broken = { code: "badContainer", what: "the PKCS #12 file" } as const;

/** Of one lock. Files in use have 1 to 600,000; more would only keep the reader busy. */
const mostIterations = 1_000_000;
/** Of all locks of a file: the MAC, a few encrypted parts and keys. */
const mostIterationsInAll = 6_000_000;

/** The password of a file, and how many rounds of derivation may still be spent on it: a file can have thousands of locks. */
export class PasswordUse {
  readonly text: string;
  #roundsLeft = mostIterationsInAll;

  constructor(text: string) {
    this.text = text;
  }

  /** @throws CryptoError `unsupported` */
  spend(rounds: number): void {
    this.#roundsLeft -= rounds;
    if (this.#roundsLeft < 0)
      throw new CryptoError("unsupported", `its locks ask for more than ${mostIterationsInAll.toLocaleString("en")} rounds of the password check in all`);
  }
}

/** Decrypts with the algorithm of this AlgorithmIdentifier. @throws CryptoError `wrongPassword`, `weakContainer`, `unsupported`, `badContainer` */
export function decryptByPassword(algorithm: DerElement | undefined, ciphertext: Uint8Array, password: PasswordUse): Uint8Array {
  const { oid, parameters } = readAlgorithm(algorithm);
  if (oid === oids.pbes2) return decryptPbes2(parameters, ciphertext, password);
  const weak = weakNames[oid];
  if (weak !== undefined) throw new CryptoError("weakContainer", `it is encrypted with ${weak}`);
  if (oid !== oids.pbeTripleDes) throw new CryptoError("unsupported", `it is encrypted in a way that is not supported (${oid})`);
  const [salt, iterations] = derChildren(parameters?.whole ?? empty, DerTag.SEQUENCE, broken);
  // Twice: the key, and the IV.
  password.spend(countOf(iterations));
  const wish = { hash: "sha1", password: password.text, salt: octetsOf(salt), iterations: spentCount(iterations, password) } as const;
  const [key, iv] = [deriveKey({ ...wish, purpose: purposes.key, length: 24 }), deriveKey({ ...wish, purpose: purposes.iv, length: 8 })];
  return decrypt("des-ede3-cbc", key, iv, ciphertext);
}

function decryptPbes2(parameters: DerElement | undefined, ciphertext: Uint8Array, password: PasswordUse): Uint8Array {
  const [derivation, scheme] = derChildren(parameters?.whole ?? empty, DerTag.SEQUENCE, broken);
  const { oid, parameters: iv } = readAlgorithm(scheme);
  const cipher = ciphers[oid];
  if (cipher === undefined) throw new CryptoError("unsupported", `it is encrypted with a cipher that is not supported (${oid})`);
  return decrypt(cipher.name, derivePbkdf2(derivation, password, cipher.keyLength), octetsOf(iv), ciphertext);
}

function decrypt(cipher: string, key: Uint8Array, iv: Uint8Array, ciphertext: Uint8Array): Uint8Array {
  try {
    const decipher = createDecipheriv(cipher, key, iv);
    return Buffer.concat([decipher.update(ciphertext), decipher.final()]);
  } catch {
    // The padding is wrong, and with a MAC that fits or without one that is the password.
    throw new CryptoError("wrongPassword", "the password does not open it");
  } finally {
    key.fill(0);
  }
}

/** Checks MacData over these octets. @throws CryptoError `wrongPassword` where it does not fit, which a changed file looks like as well. */
export function checkMac(macData: DerElement, authenticated: Uint8Array, password: PasswordUse): void {
  const [digestInfo, salt, iterations] = derChildren(macData.whole, DerTag.SEQUENCE, broken);
  const [algorithm, digest] = derChildren(digestInfo?.whole ?? empty, DerTag.SEQUENCE, broken);
  const expected = octetsOf(digest);
  const { oid, parameters } = readAlgorithm(algorithm);
  const { hash, key } =
    oid === oids.pbmac1
      ? pbmac1Key(parameters, password)
      : macKey(oid, password.text, octetsOf(salt), iterations === undefined ? 1 : spentCount(iterations, password));
  const actual = createHmac(hash, key).update(authenticated).digest();
  key.fill(0);
  if (!sameSecret(actual, expected)) throw new CryptoError("wrongPassword", "the password does not open it");
}

function macKey(oid: string, password: string, salt: Uint8Array, iterations: number): { hash: HashName; key: Uint8Array } {
  const hash = hashes[oid];
  if (hash === undefined) throw new CryptoError("unsupported", `its check sum is of a kind that is not supported (${oid})`);
  return { hash, key: deriveKey({ hash, password, salt, iterations, purpose: purposes.mac, length: hashSizes[hash].output }) };
}

/** RFC 9579: PBKDF2 in place of the derivation of appendix B. */
function pbmac1Key(parameters: DerElement | undefined, password: PasswordUse): { hash: HashName; key: Uint8Array } {
  const [derivation, scheme] = derChildren(parameters?.whole ?? empty, DerTag.SEQUENCE, broken);
  const { oid } = readAlgorithm(scheme);
  const hash = hmacs[oid];
  if (hash === undefined) throw new CryptoError("unsupported", `its check sum is of a kind that is not supported (${oid})`);
  return { hash, key: derivePbkdf2(derivation, password, hashSizes[hash].output) };
}

function derivePbkdf2(algorithm: DerElement | undefined, password: PasswordUse, length: number): Uint8Array {
  const { oid, parameters } = readAlgorithm(algorithm);
  if (oid !== oids.pbkdf2) throw new CryptoError("unsupported", `its key is derived in a way that is not supported (${oid})`);
  const [salt, iterations, ...optional] = derChildren(parameters?.whole ?? empty, DerTag.SEQUENCE, broken);
  const prf = optional.find((field) => field.tag === DerTag.SEQUENCE);
  const hash = prf === undefined ? "sha1" : hmacs[readAlgorithm(prf).oid];
  if (hash === undefined) throw new CryptoError("unsupported", "its key is derived with a hash that is not supported");
  return pbkdf2Sync(password.text, octetsOf(salt), spentCount(iterations, password), length, hash);
}

interface Derivation {
  readonly hash: HashName;
  readonly password: string;
  readonly salt: Uint8Array;
  readonly iterations: number;
  readonly purpose: number;
  readonly length: number;
}

/** RFC 7292 appendix B.2. */
function deriveKey({ hash, password, salt, iterations, purpose, length }: Derivation): Uint8Array {
  const { output, block } = hashSizes[hash];
  const passwordOctets = bmpString(password);
  const input = Buffer.concat([filled(salt, block), filled(passwordOctets, block)]);
  const diversifier = new Uint8Array(block).fill(purpose);
  const derived = Buffer.alloc(Math.ceil(length / output) * output);
  for (let at = 0; at < length; at += output) {
    let digest = createHash(hash).update(diversifier).update(input).digest();
    for (let round = 1; round < iterations; round++) digest = createHash(hash).update(digest).digest();
    derived.set(digest, at);
    const added = filled(digest, block);
    for (let piece = 0; piece < input.length; piece += block) addWithOne(input.subarray(piece, piece + block), added);
  }
  passwordOctets.fill(0);
  input.fill(0);
  return derived.subarray(0, length);
}

/** piece := piece + added + 1, as big-endian numbers that wrap around. */
function addWithOne(piece: Uint8Array, added: Uint8Array): void {
  let carry = 1;
  for (let at = piece.length - 1; at >= 0; at--) {
    carry += (piece[at] ?? 0) + (added[at] ?? 0);
    piece[at] = carry & 0xff;
    carry >>= 8;
  }
}

/** Copies side by side, up to a multiple of `block` octets; nothing of nothing. */
function filled(octets: Uint8Array, block: number): Uint8Array {
  const out = new Uint8Array(Math.ceil(octets.length / block) * block);
  for (let at = 0; at < out.length; at++) out[at] = octets[at % octets.length] ?? 0;
  return out;
}

/** UTF-16, high octet first, with two zero octets at the end (RFC 7292 appendix B.1). */
function bmpString(text: string): Uint8Array {
  return Buffer.from(`${text}\0`, "utf16le").swap16();
}

function readAlgorithm(algorithm: DerElement | undefined): { oid: string; parameters: DerElement | undefined } {
  const [oid, parameters] = derChildren(algorithm?.whole ?? empty, DerTag.SEQUENCE, broken);
  if (oid?.tag !== DerTag.OBJECT_IDENTIFIER) throw new CryptoError("badContainer", "the PKCS #12 file is not built as it should be");
  return { oid: oidText(oid.content), parameters };
}

export function octetsOf(element: DerElement | undefined): Uint8Array {
  if (element?.tag !== DerTag.OCTET_STRING) throw new CryptoError("badContainer", "the PKCS #12 file is not built as it should be");
  return element.content;
}

function spentCount(element: DerElement | undefined, password: PasswordUse): number {
  const count = countOf(element);
  password.spend(count);
  return count;
}

function countOf(element: DerElement | undefined): number {
  const octets = element?.tag === DerTag.INTEGER ? element.content : empty;
  const count = octets.reduce((sum, octet) => sum * 256 + octet, 0);
  if (octets.length === 0 || (octets[0] ?? 0) >= 0x80 || count === 0) throw new CryptoError("badContainer", "the PKCS #12 file is not built as it should be");
  if (count > mostIterations)
    throw new CryptoError(
      "unsupported",
      `it asks for ${count.toLocaleString("en")} rounds of its password check; at most ${mostIterations.toLocaleString("en")} are done`,
    );
  return count;
}

type HashName = "sha1" | "sha224" | "sha256" | "sha384" | "sha512";

const empty = new Uint8Array(0);
const purposes = { key: 1, iv: 2, mac: 3 } as const;

const hashSizes: Readonly<Record<HashName, { readonly output: number; readonly block: number }>> = {
  sha1: { output: 20, block: 64 },
  sha224: { output: 28, block: 64 },
  sha256: { output: 32, block: 64 },
  sha384: { output: 48, block: 128 },
  sha512: { output: 64, block: 128 },
};

const oids = {
  pbes2: "1.2.840.113549.1.5.13",
  pbkdf2: "1.2.840.113549.1.5.12",
  pbmac1: "1.2.840.113549.1.5.14",
  pbeTripleDes: "1.2.840.113549.1.12.1.3",
} as const;

/** Broken, and OpenSSL no longer has them by default. */
const weakNames: Readonly<Record<string, string>> = {
  "1.2.840.113549.1.12.1.1": "RC4-128",
  "1.2.840.113549.1.12.1.2": "RC4-40",
  "1.2.840.113549.1.12.1.4": "two-key triple DES",
  "1.2.840.113549.1.12.1.5": "RC2-128",
  "1.2.840.113549.1.12.1.6": "RC2-40",
};

const ciphers: Readonly<Record<string, { readonly name: string; readonly keyLength: number }>> = {
  "2.16.840.1.101.3.4.1.2": { name: "aes-128-cbc", keyLength: 16 },
  "2.16.840.1.101.3.4.1.22": { name: "aes-192-cbc", keyLength: 24 },
  "2.16.840.1.101.3.4.1.42": { name: "aes-256-cbc", keyLength: 32 },
  "1.2.840.113549.3.7": { name: "des-ede3-cbc", keyLength: 24 },
};

const hashes: Readonly<Record<string, HashName>> = {
  "1.3.14.3.2.26": "sha1",
  "2.16.840.1.101.3.4.2.4": "sha224",
  "2.16.840.1.101.3.4.2.1": "sha256",
  "2.16.840.1.101.3.4.2.2": "sha384",
  "2.16.840.1.101.3.4.2.3": "sha512",
};

const hmacs: Readonly<Record<string, HashName>> = {
  "1.2.840.113549.2.7": "sha1",
  "1.2.840.113549.2.8": "sha224",
  "1.2.840.113549.2.9": "sha256",
  "1.2.840.113549.2.10": "sha384",
  "1.2.840.113549.2.11": "sha512",
};
