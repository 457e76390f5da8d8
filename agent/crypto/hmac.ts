import { createHmac } from "node:crypto";

export type HmacHash = "sha256" | "sha384" | "sha512";

/** HMAC (RFC 2104) over the parts joined; the whole output. */
export type Hmac = (hash: HmacHash, key: Uint8Array, parts: readonly Uint8Array[]) => Uint8Array;

const ofNode: Hmac = (hash, key, parts) => {
  const mac = createHmac(hash, key);
  for (const part of parts) mac.update(part);
  return new Uint8Array(mac.digest());
};

let provided: Hmac = ofNode;

/**
 * Takes another way to the same OpenSSL from now on, for the whole process. A handshake computes some fifteen HMACs of a few octets, and `createHmac`
 * costs more than most of them: it makes an object that the collector must be told of. This layer has no native code, so whoever has some hands it in.
 */
export function provideHmac(hmac: Hmac): void {
  provided = hmac;
}

export const computeHmac: Hmac = (hash, key, parts) => provided(hash, key, parts);
