import { addressOfFixed } from "../ffi/native.ts";
import type { DropCounters, SaCounters } from "../data-plane.ts";

/**
 * Counters that a worker writes and the main thread reads at any time without asking: a row of numbers an SA in shared memory.
 * Aligned 64-bit numbers are written and read whole on every platform Node runs on; each row has one writer.
 */
export const Counter = {
  packets: 0,
  bytes: 1,
  lastUsedAt: 2,
  replay: 7,
  integrity: 8,
  noSa: 9,
  policy: 10,
  tooBig: 11,
  lifetime: 12,
  malformed: 13,
  congestion: 14,
  unsent: 15,
} as const;
export type CounterName = keyof typeof Counter;

/** What an SA has used of its life and at what it must be looked at (sa-lifetime.ts): in one cache line with what every packet counts. */
const Life = { packets: 3, bytes: 4, packetLimit: 5, byteLimit: 6 } as const;
/** As a limit in octets: nothing more may pass. */
const OVER = -1;

const CACHE_LINE_OCTETS = 64;
/** 128 octets from the beginning of a cache line on: no row shares a cache line with another. */
export const COUNTERS_PER_ROW = 16;
/** Row 0 belongs to packets that no SA can be charged with. */
export const GLOBAL_ROW = 0;

export class CounterTable {
  readonly shared: SharedArrayBuffer;
  readonly #values: Float64Array;

  constructor(shared: SharedArrayBuffer) {
    this.shared = shared;
    // The same for every thread: it is one memory.
    const past = addressOfFixed(new Uint8Array(shared)) % CACHE_LINE_OCTETS;
    this.#values = new Float64Array(shared, past === 0 ? 0 : CACHE_LINE_OCTETS - past);
  }

  static ofRows(rows: number): CounterTable {
    // Memory of this kind begins anywhere in a cache line.
    return new CounterTable(new SharedArrayBuffer(rows * COUNTERS_PER_ROW * 8 + CACHE_LINE_OCTETS));
  }

  add(row: number, counter: number, amount: number): void {
    const index = row * COUNTERS_PER_ROW + counter;
    this.#values[index] = (this.#values[index] ?? 0) + amount;
  }

  set(row: number, counter: number, value: number): void {
    this.#values[row * COUNTERS_PER_ROW + counter] = value;
  }

  /** An inner packet that has left under the SA. True: `SaLifetime.advance` must be asked what it has reached. */
  sent(row: number, octets: number, at: number): boolean {
    const index = row * COUNTERS_PER_ROW;
    const values = this.#values;
    values[index + Counter.packets] = values[index + Counter.packets]! + 1;
    values[index + Counter.bytes] = values[index + Counter.bytes]! + octets;
    return this.use(row, octets, at);
  }

  /** One that has come out of the SA, whatever follows. True: as `sent`. */
  use(row: number, octets: number, at: number): boolean {
    const index = row * COUNTERS_PER_ROW;
    const values = this.#values;
    const packets = values[index + Life.packets]! + 1;
    const bytes = values[index + Life.bytes]! + octets;
    values[index + Counter.lastUsedAt] = at;
    values[index + Life.packets] = packets;
    values[index + Life.bytes] = bytes;
    return bytes >= values[index + Life.byteLimit]! || packets >= values[index + Life.packetLimit]!;
  }

  beginLife(row: number, packets: number): void {
    this.set(row, Life.packets, packets);
    this.set(row, Life.bytes, 0);
  }

  /** When `use` is to be true next. */
  limitLife(row: number, packets: number, octets: number): void {
    this.set(row, Life.packetLimit, packets);
    this.set(row, Life.byteLimit, octets);
  }

  endLife(row: number): void {
    this.limitLife(row, Number.POSITIVE_INFINITY, OVER);
  }

  /** Past a hard limit: nothing more may pass. */
  isOver(row: number): boolean {
    return this.#values[row * COUNTERS_PER_ROW + Life.byteLimit] === OVER;
  }

  livedPackets(row: number): number {
    return this.get(row, Life.packets);
  }

  livedBytes(row: number): number {
    return this.get(row, Life.bytes);
  }

  get(row: number, counter: number): number {
    return this.#values[row * COUNTERS_PER_ROW + counter] ?? 0;
  }

  clear(row: number): void {
    this.#values.fill(0, row * COUNTERS_PER_ROW, (row + 1) * COUNTERS_PER_ROW);
  }

  sa(row: number): SaCounters {
    return {
      packets: this.get(row, Counter.packets),
      bytes: this.get(row, Counter.bytes),
      lastUsedAt: this.get(row, Counter.lastUsedAt),
      drops: this.drops(row),
    };
  }

  drops(row: number): DropCounters {
    return {
      replay: this.get(row, Counter.replay),
      integrity: this.get(row, Counter.integrity),
      noSa: this.get(row, Counter.noSa),
      policy: this.get(row, Counter.policy),
      tooBig: this.get(row, Counter.tooBig),
      lifetime: this.get(row, Counter.lifetime),
      malformed: this.get(row, Counter.malformed),
      congestion: this.get(row, Counter.congestion),
      unsent: this.get(row, Counter.unsent),
    };
  }
}

/** Hands out rows and takes them back. */
export class RowAllocator {
  readonly #free: number[] = [];
  readonly #rows: number;
  #next = GLOBAL_ROW + 1;

  constructor(rows: number) {
    this.#rows = rows;
  }

  take(): number {
    const row = this.#free.pop() ?? this.#next++;
    if (row >= this.#rows) throw new Error(`the data plane holds at most ${this.#rows - 1} SAs of a direction`);
    return row;
  }

  give(row: number): void {
    this.#free.push(row);
  }
}
