import type { AeadBatch } from "../ffi/aead-batch.ts";
import type { ReceiveSa } from "./inbound-sa.ts";

/** A packet that was checked against its SA's window and waits for its ICV; one object, refilled. */
export interface Opening {
  sa: ReceiveSa | null;
  start: number;
  end: number;
  sequence: number;
  nameAt: number;
  outerClass: number;
}

/** The packets noted in a batch, in the order of their arrival. */
export class OpeningQueue {
  readonly #batch: AeadBatch;
  readonly #waiting: Opening[] = [];
  #count = 0;

  constructor(batch: AeadBatch) {
    this.#batch = batch;
    for (let i = 0; i < batch.capacity; i++) this.#waiting.push({ sa: null, start: 0, end: 0, sequence: 0, nameAt: 0, outerClass: 0 });
  }

  get isFull(): boolean {
    return this.#count === this.#waiting.length;
  }

  /** For a packet that `BatchedEsp.note` has just taken. */
  add(sa: ReceiveSa, start: number, end: number, sequence: number, nameAt: number, outerClass: number): void {
    const opening = this.#waiting[this.#count++];
    if (opening === undefined) throw new RangeError("the queue of packets to open is full");
    opening.sa = sa;
    opening.start = start;
    opening.end = end;
    opening.sequence = sequence;
    opening.nameAt = nameAt;
    opening.outerClass = outerClass;
  }

  /** Opens all and tells of each, in order, whether its ICV was right. */
  take(opened: (sa: ReceiveSa, opening: Opening, isIntact: boolean) => void): void {
    const count = this.#count;
    if (count === 0) return;
    this.#count = 0;
    const failed = this.#batch.run();
    for (let index = 0; index < count; index++) {
      const opening = this.#waiting[index];
      if (opening?.sa == null) continue;
      const { sa } = opening;
      opening.sa = null;
      opened(sa, opening, failed === 0 || this.#batch.succeeded(index));
    }
  }
}
