import { createHash } from "node:crypto";

/** SHA-1 where a protocol fixes it and collisions do not matter: NAT_DETECTION hashes (RFC 7296 §2.23). 20 octets. */
export function sha1(...parts: readonly Uint8Array[]): Uint8Array {
  const hash = createHash("sha1");
  for (const part of parts) hash.update(part);
  return new Uint8Array(hash.digest());
}
