import { checksumInstance } from "./checksum-wasm.ts";
import { addressOfFixed } from "./native.ts";

const PAGE = 65_536;
const SCRATCH_OCTETS = 256;
/** Given back, by their pages. V8 reserves 10 GB of addresses for each memory, and frees them only when it collects what is large: often too late. */
const released = new Map<number, WebAssembly.Memory[]>();

/**
 * Memory whose address never changes: one WebAssembly.Memory with equal initial and maximum size. Packets, iovecs, message headers
 * and keys live in it at offsets handed out once; native calls get `address + offset`. Held for as long as its worker lives, or until it is
 * released.
 */
export class Arena {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  /** The same memory in words, little-endian as the structures are and every processor that this runs on: a store takes any number modulo 2^32, and is never a call. */
  readonly words: Uint32Array;
  /** Of offset 0. */
  readonly address: number;
  /** 256 octets for what is needed during one native call and not after it. */
  readonly scratch: number;
  /** Ones' complement sum (not complemented, folded to 16 bits, in the order of the octets) of `length` octets at `offset`. */
  readonly sum: (offset: number, length: number) => number;
  /** The same while the octets are copied to `to`; the two ranges must not overlap. */
  readonly copyAndSum: (offset: number, length: number, to: number) => number;
  readonly #memory: WebAssembly.Memory;
  /** The address in two halves. */
  readonly #low: number;
  readonly #high: number;
  #used = 64;
  readonly #freed = new Map<number, number[]>();

  constructor(octets: number) {
    const pages = Math.ceil(octets / PAGE);
    const memory = released.get(pages)?.pop() ?? new WebAssembly.Memory({ initial: pages, maximum: pages });
    this.#memory = memory;
    this.bytes = new Uint8Array(memory.buffer);
    this.view = new DataView(memory.buffer);
    this.words = new Uint32Array(memory.buffer);
    this.address = addressOfFixed(this.bytes);
    this.#low = this.address >>> 0;
    this.#high = Math.floor(this.address / 2 ** 32);
    const { sum, copyAndSum } = checksumInstance(memory);
    this.sum = sum;
    this.copyAndSum = copyAndSum;
    this.scratch = this.allocate(SCRATCH_OCTETS);
  }

  clearScratch(): void {
    this.bytes.fill(0, this.scratch, this.scratch + SCRATCH_OCTETS);
  }

  /** What `allocate(octets)` takes. */
  static sizeOf(octets: number): number {
    return Math.ceil(octets / 64) * 64;
  }

  /** An offset, aligned to 64 octets, for `octets` of zeroed memory. @throws RangeError when the arena is full. */
  allocate(octets: number): number {
    const size = Arena.sizeOf(octets);
    const reused = this.#freed.get(size)?.pop();
    if (reused !== undefined) return reused;
    const offset = this.#used;
    if (offset + size > this.bytes.length) throw new RangeError(`the arena of ${this.bytes.length} octets is full`);
    this.#used += size;
    return offset;
  }

  /** Zeroes what `allocate(octets)` gave and keeps it for the next allocation of that size. */
  free(offset: number, octets: number): void {
    const size = Arena.sizeOf(octets);
    this.bytes.fill(0, offset, offset + size);
    const list = this.#freed.get(size);
    if (list === undefined) this.#freed.set(size, [offset]);
    else list.push(offset);
  }

  /** Zeroes its memory and lets another arena of this thread have it. Its owner uses it no more, and neither does any native call. */
  release(): void {
    this.bytes.fill(0);
    const pages = this.bytes.length / PAGE;
    const list = released.get(pages);
    if (list === undefined) released.set(pages, [this.#memory]);
    else list.push(this.#memory);
  }

  /** Pointers in structures are 64-bit little-endian. `at` is a multiple of 4. */
  writePointer(at: number, offset: number): void {
    // Two halves: a bigint would be an allocation for every message sent, and the remainder of a division costs more than all the rest.
    const low = this.#low + offset;
    const word = at >>> 2;
    this.words[word] = low;
    this.words[word + 1] = low < 2 ** 32 ? this.#high : this.#high + 1;
  }

  /** A size of 64 bits, of which it needs 32. `at` is a multiple of 4. */
  writeSize(at: number, value: number): void {
    const word = at >>> 2;
    this.words[word] = value;
    this.words[word + 1] = 0;
  }
}
