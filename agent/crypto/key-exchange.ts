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
    const encoded = { publicKeyEncoding: { format: "raw-public" } } as const;
    const { publicKey, privateKey } = curve === "x25519" ? generateKeyPairSync("x25519", encoded) : generateKeyPairSync("x448", encoded);
    return {
      method,
      publicData: new Uint8Array(publicKey),
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

function montgomeryPublic(curve: "x25519" | "x448", raw: Uint8Array): KeyObject {
  return createPublicKey({ key: Buffer.from(raw), format: "raw-public", asymmetricKeyType: curve });
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
      return {
        method,
        publicData: new Uint8Array(publicKey),
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

function generateMlKem(name: "ml-kem-512" | "ml-kem-768" | "ml-kem-1024"): { publicKey: Buffer; privateKey: KeyObject } {
  const encoded = { publicKeyEncoding: { format: "raw-public" } } as const;
  switch (name) {
    case "ml-kem-512":
      return generateKeyPairSync("ml-kem-512", encoded);
    case "ml-kem-768":
      return generateKeyPairSync("ml-kem-768", encoded);
    case "ml-kem-1024":
      return generateKeyPairSync("ml-kem-1024", encoded);
  }
}

function mlKemPublic(name: "ml-kem-512" | "ml-kem-768" | "ml-kem-1024", raw: Uint8Array): KeyObject {
  try {
    return createPublicKey({ key: Buffer.from(raw), format: "raw-public", asymmetricKeyType: name });
  } catch (error) {
    throw new CryptoError("badPeerValue", `the peer's ${name} encapsulation key is not valid`, { cause: error });
  }
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
