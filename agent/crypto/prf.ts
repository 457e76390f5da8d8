import { Prf } from "../wire/iana.ts";
import { computeHmac, type HmacHash } from "./hmac.ts";

/** Pseudorandom functions (RFC 7296 §2.13). Key and output have the same length, in octets. */
export interface PrfSpec {
  readonly prf: Prf;
  readonly octets: number;
  readonly hash: HmacHash;
  readonly keyword: string;
}

export const prfSpecs: readonly PrfSpec[] = [
  { prf: Prf.HMAC_SHA2_256, octets: 32, hash: "sha256", keyword: "prfsha256" },
  { prf: Prf.HMAC_SHA2_384, octets: 48, hash: "sha384", keyword: "prfsha384" },
  { prf: Prf.HMAC_SHA2_512, octets: 64, hash: "sha512", keyword: "prfsha512" },
];

export function findPrf(prf: number): PrfSpec | undefined {
  return prfSpecs.find((spec) => spec.prf === prf);
}

/** prf(key, parts joined). */
export function computePrf(spec: PrfSpec, key: Uint8Array, ...parts: readonly Uint8Array[]): Uint8Array {
  return computeHmac(spec.hash, key, parts);
}

/** prf+ (RFC 7296 §2.13): `octets` of key material, at most 255 blocks of the prf. */
export function prfPlus(spec: PrfSpec, key: Uint8Array, seed: Uint8Array, octets: number): Uint8Array {
  const blocks = Math.ceil(octets / spec.octets);
  if (blocks > 255) throw new RangeError(`prf+ gives at most ${255 * spec.octets} octets, not ${octets}`);
  const out = new Uint8Array(blocks * spec.octets);
  let previous: Uint8Array = new Uint8Array(0);
  for (let block = 0; block < blocks; block++) {
    previous = computePrf(spec, key, previous, seed, Uint8Array.of(block + 1));
    out.set(previous, block * spec.octets);
  }
  return out.subarray(0, octets);
}
