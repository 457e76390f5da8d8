import { type CipherCCMTypes, type CipherChaCha20Poly1305Types, type CipherGCMTypes, createCipheriv, createDecipheriv } from "node:crypto";
import { CryptoError } from "./crypto-error.ts";
import type { CipherSpec } from "./encr.ts";

/** Seals with an AEAD cipher: `{ciphertext, icv}` joined. The nonce is salt then explicit IV (RFC 4106 §4, 4309 §4, 7634 §2). */
export function aeadSeal(spec: CipherSpec, key: Uint8Array, nonce: Uint8Array, aad: Uint8Array, plaintext: Uint8Array): Uint8Array {
  const cipher = aeadCipher(spec, key, nonce, aad, plaintext.length);
  const out = new Uint8Array(plaintext.length + spec.icvOctets);
  out.set(cipher.update(plaintext), 0);
  cipher.final();
  out.set(cipher.getAuthTag(), plaintext.length);
  return out;
}

/** @throws CryptoError `integrity` when the ICV does not match. */
export function aeadOpen(spec: CipherSpec, key: Uint8Array, nonce: Uint8Array, aad: Uint8Array, sealed: Uint8Array): Uint8Array {
  if (sealed.length < spec.icvOctets) throw new CryptoError("badLength", `${sealed.length} octets cannot hold an ICV of ${spec.icvOctets}`);
  const length = sealed.length - spec.icvOctets;
  const decipher = aeadDecipher(spec, key, nonce, aad, sealed.subarray(length), length);
  try {
    const plaintext = new Uint8Array(decipher.update(sealed.subarray(0, length)));
    decipher.final();
    return plaintext;
  } catch (error) {
    throw new CryptoError("integrity", "the integrity check value does not match", { cause: error });
  }
}

// node:crypto types the three AEAD families apart; each family takes its own options, so the calls cannot be one.
function aeadCipher(spec: CipherSpec, key: Uint8Array, nonce: Uint8Array, aad: Uint8Array, plaintextLength: number) {
  const options = { authTagLength: spec.icvOctets };
  switch (spec.kind) {
    case "gcm":
      return createCipheriv(spec.opensslName as CipherGCMTypes, key, nonce, options).setAAD(aad);
    case "ccm":
      return createCipheriv(spec.opensslName as CipherCCMTypes, key, nonce, options).setAAD(aad, { plaintextLength });
    case "chacha20poly1305":
      return createCipheriv(spec.opensslName as CipherChaCha20Poly1305Types, key, nonce, options).setAAD(aad, { plaintextLength });
    case "cbc":
    case "ctr":
      throw new CryptoError("unsupported", `${spec.keyword} is not an AEAD cipher`);
  }
}

function aeadDecipher(spec: CipherSpec, key: Uint8Array, nonce: Uint8Array, aad: Uint8Array, icv: Uint8Array, plaintextLength: number) {
  const options = { authTagLength: spec.icvOctets };
  switch (spec.kind) {
    case "gcm":
      return createDecipheriv(spec.opensslName as CipherGCMTypes, key, nonce, options)
        .setAuthTag(icv)
        .setAAD(aad);
    case "ccm":
      return createDecipheriv(spec.opensslName as CipherCCMTypes, key, nonce, options)
        .setAuthTag(icv)
        .setAAD(aad, { plaintextLength });
    case "chacha20poly1305":
      return createDecipheriv(spec.opensslName as CipherChaCha20Poly1305Types, key, nonce, options)
        .setAuthTag(icv)
        .setAAD(aad, { plaintextLength });
    case "cbc":
    case "ctr":
      throw new CryptoError("unsupported", `${spec.keyword} is not an AEAD cipher`);
  }
}
