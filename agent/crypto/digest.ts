import { createHash, createHmac, timingSafeEqual } from "node:crypto";

/** SHA-1 where a protocol fixes it and its collisions do not matter: NAT detection (RFC 7296 §2.23), authority key hashes. */
export function sha1(...parts: readonly Uint8Array[]): Uint8Array {
  const hash = createHash("sha1");
  for (const part of parts) hash.update(part);
  return new Uint8Array(hash.digest());
}

/** HMAC-SHA-256 with a key of our own, for the stateless cookie (RFC 7296 §2.6). */
export function hmacSha256(key: Uint8Array, ...parts: readonly Uint8Array[]): Uint8Array {
  const hmac = createHmac("sha256", key);
  for (const part of parts) hmac.update(part);
  return new Uint8Array(hmac.digest());
}

/** Takes the same time wherever the first difference is; the lengths are not secret. */
export function constantTimeEqual(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && timingSafeEqual(a, b);
}

/** Overwrites key material that is no longer used. Copies that the runtime made are out of reach. */
export function zeroize(...keys: readonly Uint8Array[]): void {
  for (const key of keys) key.fill(0);
}
