import {
  createDiffieHellmanGroup,
  createECDH,
  createPublicKey,
  decapsulate,
  diffieHellman,
  type ECDH,
  encapsulate,
  generateKeyPairSync,
  type KeyObject,
} from "node:crypto";
import { Kex } from "../wire/iana.ts";
import { CryptoError } from "./crypto-error.ts";

/**
 * Key exchange methods (RFC 7296 §3.4; ECP: RFC 5903; X25519/X448: RFC 8031; ML-KEM: RFC 9370 with draft-ietf-ipsecme-ikev2-mlkem).
 * Public data has the wire format of the KE payload. A KEM is not symmetric: the one who answers encapsulates to the one who
 * started, hence two functions.
 */
export interface KeyExchange {
  readonly method: Kex;
  readonly publicData: Uint8Array;
  /** @throws CryptoError when the peer's value has a wrong length or is not a valid public value. */
  computeSharedSecret(peerData: Uint8Array): Uint8Array;
}

interface KexSpec {
  readonly method: Kex;
  readonly keyword: string;
  readonly start: () => KeyExchange;
  readonly answer: (peerData: Uint8Array) => { readonly publicData: Uint8Array; readonly sharedSecret: Uint8Array };
}

export const kexSpecs: readonly KexSpec[] = [
  modp(Kex.MODP_2048, "modp2048", "modp14", 256),
  modp(Kex.MODP_3072, "modp3072", "modp15", 384),
  modp(Kex.MODP_4096, "modp4096", "modp16", 512),
  modp(Kex.MODP_6144, "modp6144", "modp17", 768),
  modp(Kex.MODP_8192, "modp8192", "modp18", 1024),
  ecp(Kex.ECP_256, "ecp256", "prime256v1", 32),
  ecp(Kex.ECP_384, "ecp384", "secp384r1", 48),
  ecp(Kex.ECP_521, "ecp521", "secp521r1", 66),
  montgomery(Kex.X25519, "x25519", "x25519", 32),
  montgomery(Kex.X448, "x448", "x448", 56),
  mlKem(Kex.ML_KEM_512, "mlkem512", "ml-kem-512", 800, 768),
  mlKem(Kex.ML_KEM_768, "mlkem768", "ml-kem-768", 1184, 1088),
  mlKem(Kex.ML_KEM_1024, "mlkem1024", "ml-kem-1024", 1568, 1568),
];

export function findKex(method: number): KexSpec | undefined {
  return kexSpecs.find((spec) => spec.method === method);
}

/** The side that sends its public data first. */
export function startKeyExchange(method: number): KeyExchange {
  return required(method).start();
}

/** The side that answers: from the peer's public data to ours and the secret. */
export function answerKeyExchange(method: number, peerData: Uint8Array): { readonly publicData: Uint8Array; readonly sharedSecret: Uint8Array } {
  return required(method).answer(peerData);
}

function required(method: number): KexSpec {
  const spec = findKex(method);
  if (spec === undefined) throw new CryptoError("unsupported", `key exchange method ${method} is not supported`);
  return spec;
}

/** For the symmetric methods answering is starting and computing at once. */
function symmetric(method: Kex, keyword: string, start: () => KeyExchange): KexSpec {
  return {
    method,
    keyword,
    start,
    answer(peerData) {
      const own = start();
      return { publicData: own.publicData, sharedSecret: own.computeSharedSecret(peerData) };
    },
  };
}

function modp(method: Kex, keyword: string, group: string, octets: number): KexSpec {
  return symmetric(method, keyword, () => {
    const own = createDiffieHellmanGroup(group);
    own.generateKeys();
    const prime = BigInt(`0x${own.getPrime("hex")}`);
    return {
      method,
      publicData: leftPad(own.getPublicKey(), octets),
      computeSharedSecret(peerData) {
        requireLength(peerData, octets, keyword);
        // RFC 6989 §2.1: 1 < r < p - 1, or the secret is one of a handful of values.
        const value = BigInt(`0x${Buffer.from(peerData).toString("hex")}`);
        if (value <= 1n || value >= prime - 1n) throw new CryptoError("badPeerValue", `the peer's ${keyword} value is out of range`);
        return leftPad(own.computeSecret(peerData), octets);
      },
    };
  });
}

function ecp(method: Kex, keyword: string, curve: string, coordinateOctets: number): KexSpec {
  return symmetric(method, keyword, () => {
    const own: ECDH = createECDH(curve);
    own.generateKeys();
    return {
      method,
      // RFC 5903 §7: x and y without the leading 04 of SEC 1.
      publicData: new Uint8Array(own.getPublicKey().subarray(1)),
      computeSharedSecret(peerData) {
        requireLength(peerData, 2 * coordinateOctets, keyword);
        try {
          return leftPad(own.computeSecret(Buffer.concat([Uint8Array.of(4), peerData])), coordinateOctets);
        } catch (error) {
          throw new CryptoError("badPeerValue", `the peer's ${keyword} value is not a point of the curve`, { cause: error });
        }
      },
    };
  });
}

function montgomery(method: Kex, keyword: string, curve: "x25519" | "x448", octets: number): KexSpec {
  return symmetric(method, keyword, () => {
    // The encoding is asked for at once: exporting a key object later costs as much as making it.
    const encoded = { publicKeyEncoding: { format: "der", type: "spki" } } as const;
    const { publicKey, privateKey } = curve === "x25519" ? generateKeyPairSync("x25519", encoded) : generateKeyPairSync("x448", encoded);
    return {
      method,
      publicData: new Uint8Array(publicKey.subarray(publicKey.length - octets)),
      computeSharedSecret(peerData) {
        requireLength(peerData, octets, keyword);
        return montgomerySecret(privateKey, montgomeryPublic(curve, peerData), keyword);
      },
    };
  });
}

function montgomerySecret(privateKey: KeyObject, publicKey: KeyObject, keyword: string): Uint8Array {
  try {
    // OpenSSL refuses an all-zero result itself (RFC 8031 §2.2); the check stays for a library that would not.
    const secret = diffieHellman({ privateKey, publicKey });
    if (secret.every((octet) => octet === 0)) throw new CryptoError("badPeerValue", `the peer's ${keyword} value gives an all-zero secret`);
    return new Uint8Array(secret);
  } catch (error) {
    if (error instanceof CryptoError) throw error;
    throw new CryptoError("badPeerValue", `the peer's ${keyword} value is of low order`, { cause: error });
  }
}

/** SubjectPublicKeyInfo of RFC 8410: a fixed prefix before the raw key. */
const montgomeryPrefix = {
  x25519: Uint8Array.from([0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x6e, 0x03, 0x21, 0x00]),
  x448: Uint8Array.from([0x30, 0x42, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x6f, 0x03, 0x39, 0x00]),
};

function montgomeryPublic(curve: "x25519" | "x448", raw: Uint8Array): KeyObject {
  return createPublicKey({ key: Buffer.concat([montgomeryPrefix[curve], raw]), format: "der", type: "spki" });
}

function mlKem(
  method: Kex,
  keyword: string,
  name: "ml-kem-512" | "ml-kem-768" | "ml-kem-1024",
  encapsulationKeyOctets: number,
  ciphertextOctets: number,
): KexSpec {
  return {
    method,
    keyword,
    start() {
      const { publicKey, privateKey } = generateMlKem(name);
      const spki = publicKey.export({ format: "der", type: "spki" });
      return {
        method,
        publicData: new Uint8Array(spki.subarray(spki.length - encapsulationKeyOctets)),
        computeSharedSecret(ciphertext) {
          requireLength(ciphertext, ciphertextOctets, keyword);
          return new Uint8Array(decapsulate(privateKey, ciphertext));
        },
      };
    },
    answer(peerData) {
      requireLength(peerData, encapsulationKeyOctets, keyword);
      const { sharedKey, ciphertext } = encapsulate(mlKemPublic(name, peerData));
      return { publicData: new Uint8Array(ciphertext), sharedSecret: new Uint8Array(sharedKey) };
    },
  };
}

function generateMlKem(name: "ml-kem-512" | "ml-kem-768" | "ml-kem-1024"): { publicKey: KeyObject; privateKey: KeyObject } {
  switch (name) {
    case "ml-kem-512":
      return generateKeyPairSync("ml-kem-512");
    case "ml-kem-768":
      return generateKeyPairSync("ml-kem-768");
    case "ml-kem-1024":
      return generateKeyPairSync("ml-kem-1024");
  }
}

/** SubjectPublicKeyInfo with the algorithm identifiers 2.16.840.1.101.3.4.4.1–3 (FIPS 203 as registered by NIST). */
function mlKemPublic(name: "ml-kem-512" | "ml-kem-768" | "ml-kem-1024", raw: Uint8Array): KeyObject {
  const arc = { "ml-kem-512": 1, "ml-kem-768": 2, "ml-kem-1024": 3 }[name];
  const algorithm = Uint8Array.from([0x30, 0x0b, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x04, arc]);
  const bits = Buffer.concat([derHeader(0x03, raw.length + 1), Uint8Array.of(0), raw]);
  const key = Buffer.concat([derHeader(0x30, algorithm.length + bits.length), algorithm, bits]);
  try {
    return createPublicKey({ key, format: "der", type: "spki" });
  } catch (error) {
    throw new CryptoError("badPeerValue", `the peer's ${name} encapsulation key is not valid`, { cause: error });
  }
}

/** Tag and a two-octet length: every key here is between 256 and 65,535 octets. */
function derHeader(tag: number, length: number): Uint8Array {
  return Uint8Array.of(tag, 0x82, length >> 8, length & 0xff);
}

function requireLength(data: Uint8Array, octets: number, keyword: string): void {
  if (data.length !== octets) throw new CryptoError("badLength", `a ${keyword} value has ${octets} octets, not ${data.length}`);
}

/** Leading zeros belong to the secret (RFC 7296 §2.14). */
function leftPad(data: Uint8Array, octets: number): Uint8Array {
  const out = new Uint8Array(octets);
  out.set(data, octets - data.length);
  return out;
}
