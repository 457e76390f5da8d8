import type { CompiledSelector } from "../../ipsec/packet-match.ts";

/** Words of a row. Networks and addresses are IPv4's as numbers. */
const Row = { network: 0, next: 1, policy: 2, isDecided: 3, localStart: 4, localEnd: 5, remoteStart: 6, remoteEnd: 7 } as const;
const ROW_WORDS = 8;
/** No further row. */
export const NO_ROW = -1;

/** What is looked up by a network: a policy's number, and its selectors where addresses alone decide, else null. */
export interface NetworkRow {
  readonly network: number;
  readonly policy: number;
  readonly selectors: { readonly local: CompiledSelector; readonly remote: CompiledSelector } | null;
}

/**
 * Rows by the network that they are of, in two arrays: of ten thousand policies a lookup reads one word of the first and one cache line of the second, where maps and objects
 * took some fifteen lines from all over the heap (docs/packet-walk.md). Rows of one network keep their order. Never changed once it is made.
 */
export class NetworkRows {
  readonly #words: Uint32Array;
  /** The first row of a network, from 1, found by hash and steps of one; 0: none. */
  readonly #slots: Int32Array;
  readonly #shift: number;

  constructor(rows: readonly NetworkRow[]) {
    const bits = Math.max(2, Math.ceil(Math.log2(2 * rows.length + 1)));
    this.#shift = 32 - bits;
    this.#slots = new Int32Array(2 ** bits);
    this.#words = new Uint32Array(rows.length * ROW_WORDS);
    const last = new Map<number, number>();
    for (const [index, { network, policy, selectors }] of rows.entries()) {
      const at = index * ROW_WORDS;
      this.#words[at + Row.network] = network;
      this.#words[at + Row.next] = NO_ROW;
      this.#words[at + Row.policy] = policy;
      if (selectors !== null) {
        const { local, remote } = selectors;
        this.#words.set([1, local.startWord, local.endWord, remote.startWord, remote.endWord], at + Row.isDecided);
      }
      const previous = last.get(network);
      last.set(network, index);
      if (previous === undefined) this.#slots[this.#slotOf(network)] = index + 1;
      else this.#words[previous * ROW_WORDS + Row.next] = index;
    }
  }

  /** The first row of this network, or `NO_ROW`. */
  first(network: number): number {
    return this.#slots[this.#slotOf(network)]! - 1;
  }

  /** The next row of the same network, or `NO_ROW`. */
  next(row: number): number {
    return this.#words[row * ROW_WORDS + Row.next]! | 0;
  }

  policyOf(row: number): number {
    return this.#words[row * ROW_WORDS + Row.policy]!;
  }

  /** Whether a packet between these addresses is the policy's; false also when more than addresses decides. */
  holds(row: number, local: number, remote: number): boolean {
    const words = this.#words;
    const at = row * ROW_WORDS;
    return (
      words[at + Row.isDecided] === 1 &&
      local >= words[at + Row.localStart]! &&
      local <= words[at + Row.localEnd]! &&
      remote >= words[at + Row.remoteStart]! &&
      remote <= words[at + Row.remoteEnd]!
    );
  }

  /** Whether addresses alone decide. */
  isDecided(row: number): boolean {
    return this.#words[row * ROW_WORDS + Row.isDecided] === 1;
  }

  /** Of the network's slot, or of the free one where it belongs: half of them are free. */
  #slotOf(network: number): number {
    const mask = this.#slots.length - 1;
    let slot = Math.imul(network, 0x9e3779b1) >>> this.#shift;
    for (;;) {
      const row = this.#slots[slot]! - 1;
      if (row === NO_ROW || this.#words[row * ROW_WORDS + Row.network] === network >>> 0) return slot;
      slot = (slot + 1) & mask;
    }
  }
}
