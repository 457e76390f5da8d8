import type { Encr, Integ } from "../wire/iana.ts";

/**
 * Keys of one direction of a Child SA, cut from KEYMAT (RFC 7296 §2.17). For counter-mode and AEAD ciphers the salt is split
 * off `encryptionKey` (RFC 4106 §8.1). The holder zeroes them when the SA goes.
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
