import type { RandomSource } from "../ike/endpoint-types.ts";

/** Repeatable randomness from a printed seed (mulberry32). For tests only: nothing secret may come of it. */
export class SeededRandom implements RandomSource {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** Uniform in [0, 1). */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }

  bytes(length: number): Uint8Array {
    const octets = new Uint8Array(length);
    for (let index = 0; index < length; index++) octets[index] = Math.floor(this.next() * 256);
    return octets;
  }
}
