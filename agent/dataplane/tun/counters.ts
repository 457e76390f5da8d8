import type { DropCounters, SaCounters } from "../data-plane.ts";

/**
 * Counters that a worker writes and the main thread reads at any time without asking: a row of numbers an SA in shared memory.
 * Aligned 64-bit numbers are written and read whole on every platform Node runs on; each row has one writer.
 */
export const Counter = {
  packets: 0,
  bytes: 1,
  lastUsedAt: 2,
  replay: 3,
  integrity: 4,
  noSa: 5,
  policy: 6,
  tooBig: 7,
  lifetime: 8,
  malformed: 9,
  congestion: 10,
  unsent: 11,
} as const;
export type CounterName = keyof typeof Counter;

export const COUNTERS_PER_ROW = 12;
/** Row 0 belongs to packets that no SA can be charged with. */
export const GLOBAL_ROW = 0;

export class CounterTable {
  readonly shared: SharedArrayBuffer;
  readonly #values: Float64Array;

  constructor(shared: SharedArrayBuffer) {
    this.shared = shared;
    this.#values = new Float64Array(shared);
  }

  static ofRows(rows: number): CounterTable {
    return new CounterTable(new SharedArrayBuffer(rows * COUNTERS_PER_ROW * 8));
  }

  add(row: number, counter: number, amount: number): void {
    const index = row * COUNTERS_PER_ROW + counter;
    this.#values[index] = (this.#values[index] ?? 0) + amount;
  }

  set(row: number, counter: number, value: number): void {
    this.#values[row * COUNTERS_PER_ROW + counter] = value;
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
