import { createCipheriv, createDecipheriv } from "node:crypto";
import { CryptoError } from "./crypto-error.ts";
import type { CipherSpec } from "./encr.ts";

/** CBC and CTR without integrity: the caller has verified the ICV before it opens and computes it after it seals. */
export function plainSeal(spec: CipherSpec, key: Uint8Array, salt: Uint8Array, iv: Uint8Array, plaintext: Uint8Array): Uint8Array {
  const cipher = createCipheriv(spec.opensslName, key, openSslIv(spec, salt, iv)).setAutoPadding(false);
  return new Uint8Array(Buffer.concat([cipher.update(plaintext), cipher.final()]));
}

/** @throws CryptoError `badLength` when the ciphertext is not a whole number of blocks. */
export function plainOpen(spec: CipherSpec, key: Uint8Array, salt: Uint8Array, iv: Uint8Array, ciphertext: Uint8Array): Uint8Array {
  if (ciphertext.length % spec.blockOctets !== 0)
    throw new CryptoError("badLength", `${ciphertext.length} octets are not a whole number of ${spec.keyword} blocks`);
  const decipher = createDecipheriv(spec.opensslName, key, openSslIv(spec, salt, iv)).setAutoPadding(false);
  return new Uint8Array(Buffer.concat([decipher.update(ciphertext), decipher.final()]));
}

function openSslIv(spec: CipherSpec, salt: Uint8Array, iv: Uint8Array): Uint8Array {
  if (spec.kind === "cbc") return iv;
  // RFC 3686 §4: nonce, IV, and a block counter that starts at one.
  return Buffer.concat([salt, iv, Uint8Array.of(0, 0, 0, 1)]);
}
