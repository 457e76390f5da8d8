import { ESP_HEADER_LENGTH, espSequence, espSpi } from "../../wire/esp.ts";
import type { Arena } from "../ffi/arena.ts";
import type { CounterTable } from "./counters.ts";
import { aheadOfReceiveSa, type ReceiveSa } from "./inbound-sa.ts";
import { ReadAhead } from "./read-ahead.ts";
import type { ReceiveBatch } from "./receive-batch.ts";
import type { ReceiveSas } from "./receive-sas.ts";

/** Few enough that what was read of the first is still in the nearest cache when the last is taken. */
const PACKETS_AT_ONCE = 64;
/** The last message that is begun is read ahead of in full: UDP_GRO puts 64 packets in one. */
const MOST_PACKETS = PACKETS_AT_ONCE + 63;

/** Reads ahead of the messages of a `ReceiveBatch` what their ESP packets need (read-ahead.ts). */
export class InboundAhead {
  readonly #arena: Arena;
  readonly #batch: ReceiveBatch;
  readonly #spis = new Int32Array(MOST_PACKETS);
  readonly #sequences = new Float64Array(MOST_PACKETS);
  readonly #ahead: ReadAhead<ReceiveSa>;
  #end = 0;
  /** The packets noted are of several SPIs. */
  #hasSeveral = false;

  constructor(arena: Arena, counters: CounterTable, batch: ReceiveBatch, sas: ReceiveSas) {
    this.#arena = arena;
    this.#batch = batch;
    this.#ahead = new ReadAhead<ReceiveSa>(MOST_PACKETS, {
      place: (index) => sas.place(this.#spis[index]!),
      find: (index) => sas.peek(this.#spis[index]!),
      ...aheadOfReceiveSa(arena, counters, (index) => this.#sequences[index]!),
    });
  }

  /** Before the message `first` of `messages` is taken: unless that was done with an earlier one, reads ahead for it and for as many more as there is room for. */
  of(first: number, messages: number): void {
    if (first === 0) this.#end = 0;
    if (first < this.#end) return;
    let packets = 0;
    this.#hasSeveral = false;
    for (this.#end = first; this.#end < messages && packets < PACKETS_AT_ONCE; this.#end++) packets = this.#note(this.#end, packets);
    // What packets of one SA need is in the cache once the first has been taken.
    if (this.#hasSeveral) this.#ahead.run(packets);
  }

  /** Returns how many packets there are with those of the message. */
  #note(message: number, before: number): number {
    const { bytes } = this.#arena;
    const batch = this.#batch;
    const step = batch.stepOf(message);
    const octets = batch.octets(message);
    const start = batch.dataAt(message);
    let packets = before;
    for (let offset = 0; offset + ESP_HEADER_LENGTH <= octets && packets < MOST_PACKETS; offset += step, packets++) {
      const spi = espSpi(bytes, start + offset) | 0;
      this.#spis[packets] = spi;
      if (spi !== this.#spis[0]) this.#hasSeveral = true;
      this.#sequences[packets] = espSequence(bytes, start + offset);
    }
    return packets;
  }
}
