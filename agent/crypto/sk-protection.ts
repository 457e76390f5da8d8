import { aeadOpen, aeadSeal } from "./aead.ts";
import { CryptoError } from "./crypto-error.ts";
import type { CipherSpec } from "./encr.ts";
import { computeIcv, type IntegSpec, verifyIcv } from "./integ.ts";
import { plainOpen, plainSeal } from "./plain-cipher.ts";

/** A cryptographic source. Not a function: one made for each direction would keep alive what it was made beside. */
export interface RandomOctets {
  bytes(octets: number): Uint8Array;
}

/**
 * Protection of the Encrypted payload (RFC 7296 §3.14, AEAD: RFC 5282) for one direction of an IKE SA. The body is IV, ciphertext
 * and ICV; `aad` is everything of the message before the IV. Holds the keys; `zeroize` ends it.
 */
export class SkProtection {
  readonly #cipher: CipherSpec;
  readonly #integ: IntegSpec | undefined;
  /** Encryption key, salt and integrity key in one array: a typed array costs 250 octets beside its content, and there is an IKE SA for each of 10,000 links. */
  readonly #keys: Uint8Array;
  readonly #random: RandomOctets;
  /** Explicit IV of counter-based ciphers: a counter can not repeat, a random one could (RFC 5282 §3.1). */
  #counter = 0n;

  /**
   * `encryptionKey` is SK_e with the salt still at its end, as it is cut from prf+ (RFC 5282 §7.1). `integ` is undefined with AEAD. Both keys are
   * copied, into `room` where the caller has some for them.
   */
  constructor(
    cipher: CipherSpec,
    integ: IntegSpec | undefined,
    encryptionKey: Uint8Array,
    integrityKey: Uint8Array,
    random: RandomOctets,
    room = new Uint8Array(encryptionKey.length + integrityKey.length),
  ) {
    if (encryptionKey.length !== cipher.keyOctets + cipher.saltOctets)
      throw new CryptoError("badKey", `${cipher.keyword} takes ${cipher.keyOctets + cipher.saltOctets} octets of key material`);
    if (cipher.icvOctets === 0) {
      if (integ === undefined) throw new CryptoError("badKey", `${cipher.keyword} needs an integrity algorithm`);
      if (integrityKey.length !== integ.keyOctets) throw new CryptoError("badKey", `${integ.keyword} takes a key of ${integ.keyOctets} octets`);
    }
    this.#cipher = cipher;
    this.#integ = cipher.icvOctets === 0 ? integ : undefined;
    this.#keys = room;
    this.#keys.set(encryptionKey);
    this.#keys.set(integrityKey, encryptionKey.length);
    this.#random = random;
  }

  get icvOctets(): number {
    return this.#integ?.icvOctets ?? this.#cipher.icvOctets;
  }

  /** Octets of the body that a plaintext of this length becomes: what goes into the payload's length field. */
  bodyOctets(plaintextOctets: number): number {
    return this.#cipher.ivOctets + padded(plaintextOctets, this.#cipher.blockOctets) + this.icvOctets;
  }

  /** The largest plaintext whose body has at most `bodyOctets`: for cutting fragments. */
  capacity(bodyOctets: number): number {
    const room = bodyOctets - this.#cipher.ivOctets - this.icvOctets;
    return room - (room % this.#cipher.blockOctets) - 1;
  }

  /** The body for these inner payloads. */
  seal(aad: Uint8Array, plaintext: Uint8Array): Uint8Array {
    const cipher = this.#cipher;
    const iv = cipher.kind === "cbc" ? this.#random.bytes(cipher.ivOctets) : this.#nextIv();
    const content = withPadding(plaintext, cipher.blockOctets);
    const integ = this.#integ;
    if (integ === undefined) return join(iv, aeadSeal(cipher, this.#encryptionKey, join(this.#salt, iv), aad, content));
    const ciphertext = plainSeal(cipher, this.#encryptionKey, this.#salt, iv, content);
    return join(iv, ciphertext, computeIcv(integ, this.#integrityKey, [aad, iv, ciphertext]));
  }

  /** The inner payloads. @throws CryptoError `integrity`, or `badLength` for a body that cannot be one. */
  open(aad: Uint8Array, body: Uint8Array): Uint8Array {
    const cipher = this.#cipher;
    if (body.length < cipher.ivOctets + this.icvOctets + 1)
      throw new CryptoError("badLength", `an encrypted payload of ${body.length} octets is too short for its IV and ICV`);
    const iv = body.subarray(0, cipher.ivOctets);
    const rest = body.subarray(cipher.ivOctets);
    const integ = this.#integ;
    if (integ === undefined) return withoutPadding(aeadOpen(cipher, this.#encryptionKey, join(this.#salt, iv), aad, rest));
    const ciphertext = rest.subarray(0, rest.length - integ.icvOctets);
    verifyIcv(integ, this.#integrityKey, [aad, iv, ciphertext], rest.subarray(ciphertext.length));
    return withoutPadding(plainOpen(cipher, this.#encryptionKey, this.#salt, iv, ciphertext));
  }

  zeroize(): void {
    this.#keys.fill(0);
  }

  get #encryptionKey(): Uint8Array {
    return this.#keys.subarray(0, this.#cipher.keyOctets);
  }

  get #salt(): Uint8Array {
    return this.#keys.subarray(this.#cipher.keyOctets, this.#cipher.keyOctets + this.#cipher.saltOctets);
  }

  get #integrityKey(): Uint8Array {
    return this.#keys.subarray(this.#cipher.keyOctets + this.#cipher.saltOctets);
  }

  #nextIv(): Uint8Array {
    const iv = new Uint8Array(8);
    new DataView(iv.buffer).setBigUint64(0, ++this.#counter);
    return iv;
  }
}

/** Plaintext, padding and the pad length octet, up to a whole number of blocks. */
function padded(plaintextOctets: number, blockOctets: number): number {
  return Math.ceil((plaintextOctets + 1) / blockOctets) * blockOctets;
}

function withPadding(plaintext: Uint8Array, blockOctets: number): Uint8Array {
  const out = new Uint8Array(padded(plaintext.length, blockOctets));
  out.set(plaintext);
  out[out.length - 1] = out.length - plaintext.length - 1;
  return out;
}

function withoutPadding(content: Uint8Array): Uint8Array {
  const padLength = content[content.length - 1] ?? 0;
  if (padLength + 1 > content.length) throw new CryptoError("badLength", `a pad length of ${padLength} is longer than the payload`);
  return content.subarray(0, content.length - padLength - 1);
}

function join(...parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts));
}
