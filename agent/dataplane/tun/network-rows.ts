import { type CompiledSelector, isOfPair, pairWords } from "../../ipsec/packet-match.ts";

/** Words of a row: half a cache line, and none lies across two. Networks and addresses are IPv4's as numbers. */
const Row = { network: 0, next: 1, policy: 2, kind: 3, pair: 4 } as const;
const ROW_WORDS = 8;
/** 0, as in an empty array: none is there. Addresses alone decide, or more does. */
const Kind = { decided: 1, undecided: 2 } as const;
/** No further row. */
export const NO_ROW = -1;

/** What is looked up by a network: a policy's number, and its selectors where addresses alone decide, else null. */
export interface NetworkRow {
  readonly network: number;
  readonly policy: number;
  readonly selectors: { readonly local: CompiledSelector; readonly remote: CompiledSelector } | null;
}

/**
 * Rows by the network that they are of, in one array: of ten thousand policies a lookup reads one cache line, where maps and objects took many from all over the heap
 * (docs/packet-walk.md). The first row of a network lies where its hash says or, where that is taken, in the first free place behind it; its others, in their order, behind all of those.
 * Never changed once it is made.
 */
export class NetworkRows {
  readonly #words: Uint32Array;
  readonly #mask: number;
  readonly #shift: number;

  constructor(rows: readonly NetworkRow[]) {
    // Half of the places stay free.
    const bits = Math.max(2, Math.ceil(Math.log2(2 * rows.length + 1)));
    const places = 2 ** bits;
    this.#shift = 32 - bits;
    this.#mask = places - 1;
    this.#words = new Uint32Array((places + rows.length) * ROW_WORDS);
    const last = new Map<number, number>();
    let behind = places;
    for (const row of rows) {
      const previous = last.get(row.network);
      const index = previous === undefined ? this.#placeOf(row.network) : behind++;
      if (previous !== undefined) this.#words[previous * ROW_WORDS + Row.next] = index;
      last.set(row.network, index);
      this.#write(index, row);
    }
  }

  /** The first row of this network, or `NO_ROW`. */
  first(network: number): number {
    const index = this.#placeOf(network);
    return this.#words[index * ROW_WORDS + Row.kind] === 0 ? NO_ROW : index;
  }

  /** Reads where the first row of this network is, unless others came before it. */
  place(network: number): number {
    return this.#words[hashedTo(network, this.#shift) * ROW_WORDS]!;
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
    return this.isDecided(row) && isOfPair(this.#words, row * ROW_WORDS + Row.pair, local, remote);
  }

  /** Whether addresses alone decide. */
  isDecided(row: number): boolean {
    return this.#words[row * ROW_WORDS + Row.kind] === Kind.decided;
  }

  #write(index: number, { network, policy, selectors }: NetworkRow): void {
    const decided = selectors === null ? [Kind.undecided] : [Kind.decided, ...pairWords(selectors.local, selectors.remote)];
    this.#words.set([network, NO_ROW, policy, ...decided], index * ROW_WORDS);
  }

  /** Where the network's first row is, or would be. */
  #placeOf(network: number): number {
    let place = hashedTo(network, this.#shift);
    for (;;) {
      const at = place * ROW_WORDS;
      if (this.#words[at + Row.kind] === 0 || this.#words[at + Row.network] === network >>> 0) return place;
      place = (place + 1) & this.#mask;
    }
  }
}

/**
 * Which of 2^(32 - shift) places a network or an SPI would have, were it alone: networks one behind the other, of whatever length, get places all over. The low bits of a network are zeros, which one
 * multiplication would leave where they are: its high half is mixed into them first.
 */
export function hashedTo(key: number, shift: number): number {
  const mixed = Math.imul(key ^ (key >>> 16), 0x7feb352d);
  return Math.imul(mixed ^ (mixed >>> 15), 0x9e3779b1) >>> shift;
}
