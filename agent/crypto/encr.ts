import { Encr } from "../wire/iana.ts";

/**
 * Encryption algorithms by their IANA id and key length (RFC 7296 §3.3.2, RFC 8247, RFC 8221). Lengths are octets unless named
 * otherwise. `opensslName` is what `createCipheriv` and EVP call it.
 */
export interface CipherSpec {
  readonly encr: Encr;
  /** The key length attribute; undefined where the algorithm has one size and the attribute is not sent. */
  readonly keyLengthBits: number | undefined;
  readonly keyOctets: number;
  /** Taken from KEYMAT behind the key: implicit part of the nonce (RFC 4106 §8.1, 4309 §7.1, 3686 §5.1, 7634 §2). */
  readonly saltOctets: number;
  /** On the wire before the ciphertext. */
  readonly ivOctets: number;
  readonly blockOctets: number;
  /** The cipher's own ICV; 0 for those that need an integrity algorithm beside them. */
  readonly icvOctets: number;
  readonly kind: "gcm" | "ccm" | "chacha20poly1305" | "cbc" | "ctr";
  readonly opensslName: string;
  /** strongSwan's proposal keyword. */
  readonly keyword: string;
}

const keySizes = [128, 192, 256] as const;

const aeadFamilies = [
  { name: "gcm", kind: "gcm", salt: 4, ids: [Encr.AES_GCM_8, Encr.AES_GCM_12, Encr.AES_GCM_16] },
  { name: "ccm", kind: "ccm", salt: 3, ids: [Encr.AES_CCM_8, Encr.AES_CCM_12, Encr.AES_CCM_16] },
] as const;

export const cipherSpecs: readonly CipherSpec[] = [
  ...aeadFamilies.flatMap(({ name, kind, salt, ids }) =>
    ids.flatMap((encr, index) =>
      keySizes.map((bits): CipherSpec => {
        const icvOctets = 8 + 4 * index;
        return {
          encr,
          keyLengthBits: bits,
          keyOctets: bits / 8,
          saltOctets: salt,
          ivOctets: 8,
          blockOctets: 1,
          icvOctets,
          kind,
          opensslName: `aes-${bits}-${name}`,
          keyword: `aes${bits}${name}${icvOctets}`,
        };
      }),
    ),
  ),
  ...keySizes.flatMap((bits): CipherSpec[] => [
    {
      encr: Encr.AES_CBC,
      keyLengthBits: bits,
      keyOctets: bits / 8,
      saltOctets: 0,
      ivOctets: 16,
      blockOctets: 16,
      icvOctets: 0,
      kind: "cbc",
      opensslName: `aes-${bits}-cbc`,
      keyword: `aes${bits}`,
    },
    {
      encr: Encr.AES_CTR,
      keyLengthBits: bits,
      keyOctets: bits / 8,
      saltOctets: 4,
      ivOctets: 8,
      blockOctets: 1,
      icvOctets: 0,
      kind: "ctr",
      opensslName: `aes-${bits}-ctr`,
      keyword: `aes${bits}ctr`,
    },
  ]),
  {
    encr: Encr.CHACHA20_POLY1305,
    keyLengthBits: undefined,
    keyOctets: 32,
    saltOctets: 4,
    ivOctets: 8,
    blockOctets: 1,
    icvOctets: 16,
    kind: "chacha20poly1305",
    opensslName: "chacha20-poly1305",
    keyword: "chacha20poly1305",
  },
];

/** The cipher with this id and key length attribute, or undefined when we have no such one. */
export function findCipher(encr: number, keyLengthBits: number | undefined): CipherSpec | undefined {
  return cipherSpecs.find((spec) => spec.encr === encr && spec.keyLengthBits === keyLengthBits);
}

/** The cipher of an SA's key: where several sizes share an id the key itself says which. */
export function cipherForKey(encr: number, keyOctets: number): CipherSpec | undefined {
  return cipherSpecs.find((spec) => spec.encr === encr && spec.keyOctets === keyOctets);
}
