import type { SaKeys } from "../crypto/sa-keys.ts";
import { Encr, Integ } from "../wire/iana.ts";
import type { EspSpi } from "../wire/ikev2/message-types.ts";

/* SPIs and keys of gateways without IKE: fixed, because they never leave a test's own namespaces. */
const suites = {
  aes128gcm16: { encr: Encr.AES_GCM_16, keyOctets: 16, saltOctets: 4, integ: Integ.NONE, integOctets: 0 },
  aes256gcm16: { encr: Encr.AES_GCM_16, keyOctets: 32, saltOctets: 4, integ: Integ.NONE, integOctets: 0 },
  chacha20poly1305: { encr: Encr.CHACHA20_POLY1305, keyOctets: 32, saltOctets: 4, integ: Integ.NONE, integOctets: 0 },
  aes256ccm8: { encr: Encr.AES_CCM_8, keyOctets: 32, saltOctets: 3, integ: Integ.NONE, integOctets: 0 },
  aes192ccm12: { encr: Encr.AES_CCM_12, keyOctets: 24, saltOctets: 3, integ: Integ.NONE, integOctets: 0 },
  aes128ccm16: { encr: Encr.AES_CCM_16, keyOctets: 16, saltOctets: 3, integ: Integ.NONE, integOctets: 0 },
  "aes256-sha256": { encr: Encr.AES_CBC, keyOctets: 32, saltOctets: 0, integ: Integ.HMAC_SHA2_256_128, integOctets: 32 },
  "aes128ctr-sha256": { encr: Encr.AES_CTR, keyOctets: 16, saltOctets: 4, integ: Integ.HMAC_SHA2_256_128, integOctets: 32 },
  "ah-sha256": { encr: Encr.NULL, keyOctets: 0, saltOctets: 0, integ: Integ.HMAC_SHA2_256_128, integOctets: 32 },
  "ah-sha512": { encr: Encr.NULL, keyOctets: 0, saltOctets: 0, integ: Integ.HMAC_SHA2_512_256, integOctets: 64 },
} as const;

export type StaticSuite = keyof typeof suites;

export function isStaticAh(suite: StaticSuite): boolean {
  return suites[suite].encr === Encr.NULL;
}

/** Of the first SA of each worker; 0 is what all may send on. */
export function staticNumber(worker: number): number {
  return worker * 0x101;
}

/** Of the SA that this side receives on. */
export function staticSpi(side: "left" | "right", number: number): EspSpi {
  return ((side === "left" ? 0x1000 : 0x2000) + number) as EspSpi;
}

export function staticKeys(name: StaticSuite, of: EspSpi): SaKeys {
  const suite = suites[name];
  const octets = (length: number, salt: number) => Uint8Array.from({ length }, (_, i) => (of * 7 + i * 13 + salt) & 0xff);
  return {
    encr: suite.encr,
    encryptionKey: octets(suite.keyOctets, 1),
    salt: octets(suite.saltOctets, 2),
    integ: suite.integ,
    integrityKey: octets(suite.integOctets, 3),
  };
}
