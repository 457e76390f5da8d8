import type { IntegSpec } from "../../crypto/integ.ts";
import type { Arena } from "./arena.ts";
import { crypto } from "./native.ts";

const KEY_OCTETS = 64;
export const MAC_OCTETS = 192;

/**
 * HMAC over parts of packets in an arena, through OpenSSL's EVP: the key is set up once, a computation costs an init, an update for each part and a
 * final. Belongs to one worker. `close` frees it and zeroes the key.
 */
export class PacketMac {
  readonly icvOctets: number;
  readonly #arena: Arena;
  readonly #context: number;
  /** 0: computed ICV (64), 64: length (8), 128: the key while it is set up (64). */
  readonly #scratch: number;

  /** @throws Error with a sentence when OpenSSL has no such algorithm. */
  constructor(arena: Arena, { hash, icvOctets }: IntegSpec, key: Uint8Array) {
    this.#arena = arena;
    this.icvOctets = icvOctets;
    const mac = crypto.macFetch(0, "HMAC", 0);
    this.#context = crypto.macContextNew(mac);
    crypto.macFree(mac);
    this.#scratch = arena.allocate(MAC_OCTETS);
    const keyAt = this.#scratch + 128;
    arena.bytes.set(key, keyAt);
    const parameters = arena.allocate(192);
    writeDigestParameter(arena, parameters, hash);
    const done = crypto.macInit(this.#context, arena.address + keyAt, key.length, arena.address + parameters);
    arena.free(parameters, 192);
    arena.bytes.fill(0, keyAt, keyAt + KEY_OCTETS);
    if (this.#context === 0 || done !== 1) {
      this.close();
      throw new Error(`OpenSSL refused a key for HMAC with ${hash}`);
    }
  }

  begin(): void {
    crypto.macInit(this.#context, 0, 0, 0);
  }

  add(at: number, octets: number): void {
    crypto.macUpdate(this.#context, this.#arena.address + at, octets);
  }

  /** Where the ICV is now. The full HMAC is there: a packet has room for the truncated one only. */
  finish(): number {
    const { address } = this.#arena;
    if (crypto.macFinal(this.#context, address + this.#scratch, address + this.#scratch + 64, 64) !== 1) throw new Error("OpenSSL could not compute an ICV");
    return this.#scratch;
  }

  /** `finish`, and the truncated ICV to `at`. */
  finishTo(at: number): void {
    const from = this.finish();
    this.#arena.bytes.copyWithin(at, from, from + this.icvOctets);
  }

  /** `finish`, and whether the ICV at `at` is the right one; the comparison takes the same time wherever the difference is. */
  finishIs(at: number): boolean {
    return crypto.compare(this.#arena.address + this.finish(), this.#arena.address + at, this.icvOctets) === 0;
  }

  close(): void {
    if (this.#context !== 0) crypto.macContextFree(this.#context);
    this.#arena.free(this.#scratch, MAC_OCTETS);
  }
}

/**
 * OSSL_PARAM[2] with the hash of an HMAC, 192 octets at `at`: {key, type, data, size, return size} of 40 octets each; the second is the end. Type 4 is a
 * UTF-8 string.
 */
export function writeDigestParameter(arena: Arena, at: number, hash: string): void {
  const { bytes, view } = arena;
  const nameAt = at + 96;
  const valueAt = at + 128;
  bytes.set(new TextEncoder().encode("digest"), nameAt);
  bytes.set(new TextEncoder().encode(hash), valueAt);
  arena.writePointer(at, nameAt);
  view.setUint32(at + 8, 4, true);
  arena.writePointer(at + 16, valueAt);
  arena.writeSize(at + 24, hash.length);
  view.setBigUint64(at + 32, 0xffffffffffffffffn, true);
}
