import { Integ } from "../wire/iana.ts";
import { CryptoError } from "./crypto-error.ts";
import { computeHmac, type HmacHash } from "./hmac.ts";
import { sameSecret } from "./same-secret.ts";

/** HMAC integrity (RFC 4868): the output is cut to half its length. Lengths are octets. */
export interface IntegSpec {
  readonly integ: Integ;
  readonly keyOctets: number;
  readonly icvOctets: number;
  readonly hash: HmacHash;
  readonly keyword: string;
}

export const integSpecs: readonly IntegSpec[] = [
  { integ: Integ.HMAC_SHA2_256_128, keyOctets: 32, icvOctets: 16, hash: "sha256", keyword: "sha256" },
  { integ: Integ.HMAC_SHA2_384_192, keyOctets: 48, icvOctets: 24, hash: "sha384", keyword: "sha384" },
  { integ: Integ.HMAC_SHA2_512_256, keyOctets: 64, icvOctets: 32, hash: "sha512", keyword: "sha512" },
];

export function findInteg(integ: number): IntegSpec | undefined {
  return integSpecs.find((spec) => spec.integ === integ);
}

/** The ICV over the concatenation of `parts`. */
export function computeIcv(spec: IntegSpec, key: Uint8Array, parts: readonly Uint8Array[]): Uint8Array {
  return computeHmac(spec.hash, key, parts).subarray(0, spec.icvOctets);
}

/** @throws CryptoError `integrity`; the comparison takes the same time wherever the difference is. */
export function verifyIcv(spec: IntegSpec, key: Uint8Array, parts: readonly Uint8Array[], icv: Uint8Array): void {
  if (!sameSecret(computeIcv(spec, key, parts), icv)) throw new CryptoError("integrity", "the integrity check value does not match");
}
