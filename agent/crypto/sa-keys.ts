import type { Encr, Integ } from "../wire/iana.ts";

/**
 * Keys of one direction of a Child SA, cut from KEYMAT (RFC 7296 §2.17). For counter-mode and AEAD ciphers the salt is split
 * off `encryptionKey` (RFC 4106 §8.1).
 * Whoever hands an SA to the data plane erases them once the plane has it; OpenSSL clears its own copy with the context.
 */
export interface SaKeys {
  readonly encr: Encr;
  readonly encryptionKey: Uint8Array;
  /** 4 octets for GCM, CTR and ChaCha20-Poly1305, 3 for CCM, none for CBC. */
  readonly salt: Uint8Array;
  /** `Integ.NONE` with an AEAD cipher. */
  readonly integ: Integ;
  readonly integrityKey: Uint8Array;
}

/** Zeroes the keys: there is no use of them any more here. */
export function eraseSaKeys({ encryptionKey, salt, integrityKey }: SaKeys): void {
  for (const key of [encryptionKey, salt, integrityKey]) key.fill(0);
}
