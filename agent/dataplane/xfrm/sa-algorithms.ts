import type { SaKeys } from "../../crypto/sa-keys.ts";
import type { SaProtocol } from "../../ipsec/security-association.ts";
import { Encr, Integ } from "../../wire/iana.ts";
import { type Attribute, viewOf } from "./netlink.ts";
import { XfrmAttribute } from "./xfrm-structures.ts";

/*
 * What the kernel's crypto API calls the algorithms of an SA, and their structures (linux/xfrm.h): name (64) · key length in bits (4) · for
 * AEAD the ICV's, for integrity the cut output's length in bits (4) · key. A salt is the end of its key.
 */
const NAME_OCTETS = 64;
const keysAt: ReadonlyMap<number, number> = new Map([
  [XfrmAttribute.ALG_AEAD, NAME_OCTETS + 8],
  [XfrmAttribute.ALG_AUTH, NAME_OCTETS + 4],
  [XfrmAttribute.ALG_AUTH_TRUNC, NAME_OCTETS + 8],
  [XfrmAttribute.ALG_CRYPT, NAME_OCTETS + 4],
]);

interface KernelAead {
  readonly name: string;
  readonly icvBits: number;
  readonly keyOctets: readonly number[];
}

const aesKeyOctets = [16, 24, 32];

const aeads: Readonly<Partial<Record<Encr, KernelAead>>> = {
  [Encr.AES_GCM_8]: { name: "rfc4106(gcm(aes))", icvBits: 64, keyOctets: aesKeyOctets },
  [Encr.AES_GCM_12]: { name: "rfc4106(gcm(aes))", icvBits: 96, keyOctets: aesKeyOctets },
  [Encr.AES_GCM_16]: { name: "rfc4106(gcm(aes))", icvBits: 128, keyOctets: aesKeyOctets },
  [Encr.AES_CCM_8]: { name: "rfc4309(ccm(aes))", icvBits: 64, keyOctets: aesKeyOctets },
  [Encr.AES_CCM_12]: { name: "rfc4309(ccm(aes))", icvBits: 96, keyOctets: aesKeyOctets },
  [Encr.AES_CCM_16]: { name: "rfc4309(ccm(aes))", icvBits: 128, keyOctets: aesKeyOctets },
  [Encr.NULL_AES_GMAC]: { name: "rfc4543(gcm(aes))", icvBits: 128, keyOctets: aesKeyOctets },
  [Encr.CHACHA20_POLY1305]: { name: "rfc7539esp(chacha20,poly1305)", icvBits: 128, keyOctets: [32] },
};

const ciphers: Readonly<Partial<Record<Encr, { readonly name: string; readonly keyOctets: readonly number[] }>>> = {
  [Encr.AES_CBC]: { name: "cbc(aes)", keyOctets: aesKeyOctets },
  [Encr.AES_CTR]: { name: "rfc3686(ctr(aes))", keyOctets: aesKeyOctets },
  [Encr.DES3]: { name: "cbc(des3_ede)", keyOctets: [24] },
  [Encr.NULL]: { name: "ecb(cipher_null)", keyOctets: [0] },
};

const integrities: Readonly<Partial<Record<Integ, { readonly name: string; readonly icvBits: number; readonly keyOctets: number }>>> = {
  [Integ.HMAC_SHA1_96]: { name: "hmac(sha1)", icvBits: 96, keyOctets: 20 },
  [Integ.AES_XCBC_96]: { name: "xcbc(aes)", icvBits: 96, keyOctets: 16 },
  [Integ.AES_CMAC_96]: { name: "cmac(aes)", icvBits: 96, keyOctets: 16 },
  [Integ.HMAC_SHA2_256_128]: { name: "hmac(sha256)", icvBits: 128, keyOctets: 32 },
  [Integ.HMAC_SHA2_384_192]: { name: "hmac(sha384)", icvBits: 192, keyOctets: 48 },
  [Integ.HMAC_SHA2_512_256]: { name: "hmac(sha512)", icvBits: 256, keyOctets: 64 },
};

/** The algorithms of an SA as attributes of its message; they hold copies of the keys. @throws Error with a sentence for a suite that no kernel has. */
export function algorithmAttributes(protocol: SaProtocol, keys: SaKeys): Attribute[] {
  if (protocol === "ah") {
    if (keys.encr !== Encr.NULL || keys.encryptionKey.length > 0) throw new Error("AH has no ESP cipher, and no encryption key");
    return [integrityAttribute(keys)];
  }
  const aead = aeads[keys.encr];
  const key = join(keys.encryptionKey, keys.salt);
  if (aead !== undefined) {
    mustFit(keys, aead.keyOctets);
    return [{ type: XfrmAttribute.ALG_AEAD, value: encode(aead.name, key, aead.icvBits) }];
  }
  const cipher = ciphers[keys.encr];
  mustFit(keys, cipher?.keyOctets ?? []);
  return [integrityAttribute(keys), { type: XfrmAttribute.ALG_CRYPT, value: encode(cipher!.name, key, null) }];
}

/**
 * Whether the attributes of a report have zeros where a key is: so answers a kernel that keeps them to itself (LOCKDOWN_XFRM_SECRET, since Linux 5.11, which
 * `lockdown=confidentiality` brings). None that IKE makes is all zeros.
 */
export function areKeysWithheld(attributes: readonly Attribute[]): boolean {
  return attributes.some(({ type, value }) => {
    const keyAt = keysAt.get(type);
    return keyAt !== undefined && value.length > keyAt && value.subarray(keyAt).every((octet) => octet === 0);
  });
}

function mustFit({ encr, encryptionKey }: SaKeys, keyOctets: readonly number[]): void {
  if (!keyOctets.includes(encryptionKey.length))
    throw new Error(`the kernel plane has no ESP cipher with the number ${encr} and a key of ${encryptionKey.length} octets`);
}

function integrityAttribute({ integ, integrityKey }: SaKeys): Attribute {
  const found = integrities[integ];
  if (found === undefined || integrityKey.length !== found.keyOctets)
    throw new Error(`the kernel plane has no integrity algorithm with the number ${integ} and a key of ${integrityKey.length} octets`);
  return { type: XfrmAttribute.ALG_AUTH_TRUNC, value: encode(found.name, integrityKey, found.icvBits) };
}

function encode(name: string, key: Uint8Array, icvBits: number | null): Uint8Array {
  const keyAt = NAME_OCTETS + (icvBits === null ? 4 : 8);
  const bytes = new Uint8Array(keyAt + key.length);
  bytes.set(new TextEncoder().encode(name));
  viewOf(bytes).setUint32(NAME_OCTETS, key.length * 8, true);
  if (icvBits !== null) viewOf(bytes).setUint32(NAME_OCTETS + 4, icvBits, true);
  bytes.set(key, keyAt);
  return bytes;
}

function join(a: Uint8Array, b: Uint8Array): Uint8Array {
  const both = new Uint8Array(a.length + b.length);
  both.set(a);
  both.set(b, a.length);
  return both;
}
