import { createHmac } from "node:crypto";
import { Encr, Integ } from "../wire/iana.ts";
import { aesCmac } from "./cmac.ts";
import { CryptoError } from "./crypto-error.ts";
import { type CipherSpec, cipherForKey } from "./encr.ts";
import { computeIcv, findInteg } from "./integ.ts";
import { sameSecret } from "./same-secret.ts";
import type { SaKeys } from "./sa-keys.ts";

/*
 * The algorithms of the reference for packets (esp-cipher.ts, agent/ipsec/ah-packet.ts). Beside those that this project negotiates it has some that RFC 8221
 * takes out of use or that are not offered: to read and check what others have made, and only for a caller that says so.
 */

/** `current`: what may be negotiated. `any`: 3DES, NULL, HMAC-MD5, HMAC-SHA-1 and AES-CMAC as well. */
export type AlgorithmUse = "current" | "any";

export interface PacketIntegrity {
  readonly icvOctets: number;
  /** The ICV over the concatenation of `parts`. */
  compute(key: Uint8Array, parts: readonly Uint8Array[]): Uint8Array;
}

/** Undefined where there is none, or none for this use. */
export function integrityOf(integ: number, use: AlgorithmUse): PacketIntegrity | undefined {
  const spec = findInteg(integ);
  if (spec !== undefined) return { icvOctets: spec.icvOctets, compute: (key, parts) => computeIcv(spec, key, parts) };
  return use === "any" ? outOfUse.get(integ) : undefined;
}

/** Undefined where there is none, or none for this use. */
export function cipherOf({ encr, encryptionKey }: SaKeys, use: AlgorithmUse): CipherSpec | undefined {
  const spec = cipherForKey(encr, encryptionKey.length);
  if (spec !== undefined || use === "current") return spec;
  return ciphersOutOfUse.find((one) => one.encr === encr && one.keyOctets === encryptionKey.length);
}

/** @throws CryptoError `integrity`; the comparison takes the same time wherever the difference is. */
export function verifyPacket(integrity: PacketIntegrity, key: Uint8Array, parts: readonly Uint8Array[], icv: Uint8Array): void {
  if (!sameSecret(integrity.compute(key, parts), icv)) throw new CryptoError("integrity", "the integrity check value does not match");
}

/** RFC 2403, RFC 2404, RFC 4494: each cut to 96 bits. */
const outOfUse: ReadonlyMap<number, PacketIntegrity> = new Map<number, PacketIntegrity>([
  [Integ.HMAC_MD5_96, { icvOctets: 12, compute: (key, parts) => hmac("md5", key, parts) }],
  [Integ.HMAC_SHA1_96, { icvOctets: 12, compute: (key, parts) => hmac("sha1", key, parts) }],
  [Integ.AES_CMAC_96, { icvOctets: 12, compute: (key, parts) => aesCmac(key, Buffer.concat(parts)).subarray(0, 12) }],
]);

function hmac(hash: "md5" | "sha1", key: Uint8Array, parts: readonly Uint8Array[]): Uint8Array {
  const made = createHmac(hash, key);
  for (const part of parts) made.update(part);
  return made.digest().subarray(0, 12);
}

const ciphersOutOfUse: readonly CipherSpec[] = [
  {
    encr: Encr.DES3,
    keyLengthBits: undefined,
    keyOctets: 24,
    saltOctets: 0,
    ivOctets: 8,
    blockOctets: 8,
    icvOctets: 0,
    kind: "cbc",
    opensslName: "des-ede3-cbc",
    keyword: "3des",
  },
  // RFC 2410: the packet is only authenticated.
  {
    encr: Encr.NULL,
    keyLengthBits: undefined,
    keyOctets: 0,
    saltOctets: 0,
    ivOctets: 0,
    blockOctets: 1,
    icvOctets: 0,
    kind: "cbc",
    opensslName: "",
    keyword: "null",
  },
];
