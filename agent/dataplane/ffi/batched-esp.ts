import { AAD_AFTER_NONCE, type AeadBatch } from "./aead-batch.ts";
import type { Arena } from "./arena.ts";
import { type EspSuite, isPossibleContent, writeAad, writeCounterIv } from "./esp-suite.ts";

/** What a packet in a batch reads of its SA, in octets from `lineAt` and within one cache line: the salt, and what `AeadBatch.add` takes of the cipher. */
export const BatchedLine = { salt: 0, cipher: 32 } as const;

/**
 * ESP of all SAs of one suite whose packets are sealed or opened together: of the SA itself a packet reads a line of the arena and no object, so that of
 * thousands whose packets come in turn little must be fetched (docs/packet-walk.md). `EspTransform` says what the functions do, and makes and erases the lines.
 */
export class BatchedEsp {
  readonly #arena: Arena;
  readonly #batch: AeadBatch;
  readonly #suite: EspSuite;

  constructor(arena: Arena, batch: AeadBatch, suite: EspSuite) {
    this.#arena = arena;
    this.#batch = batch;
    this.#suite = suite;
  }

  /** The packet is sealed when the batch is run. Returns the end of its ICV. */
  seal(lineAt: number, start: number, contentEnd: number, sequence: number, sequenceHigh: number): number {
    writeCounterIv(this.#arena, start + 8, sequence, sequenceHigh);
    return this.protect(lineAt, start, contentEnd, sequenceHigh);
  }

  protect(lineAt: number, start: number, contentEnd: number, sequenceHigh: number): number {
    if (this.#batch.isFull) this.#batch.runSeals();
    this.#add(lineAt, start, contentEnd, sequenceHigh);
    return contentEnd + this.#suite.icvOctets;
  }

  /** The batch has room. False: the length is impossible, and nothing was noted. */
  note(lineAt: number, start: number, end: number, sequenceHigh: number): boolean {
    const contentEnd = end - this.#suite.icvOctets;
    if (!isPossibleContent(this.#suite, contentEnd - start - 8 - this.#suite.ivOctets)) return false;
    this.#add(lineAt, start, contentEnd, sequenceHigh);
    return true;
  }

  #add(lineAt: number, start: number, contentEnd: number, sequenceHigh: number): void {
    const { view } = this.#arena;
    const { ivOctets, icvOctets, saltOctets, extended } = this.#suite;
    const ivAt = start + 8;
    const contentAt = ivAt + ivOctets;
    const nonce = this.#batch.add(lineAt + BatchedLine.cipher, contentAt, contentEnd - contentAt, extended ? 12 : 8, icvOctets);
    view.setInt32(nonce, view.getInt32(lineAt + BatchedLine.salt));
    view.setInt32(nonce + saltOctets, view.getInt32(ivAt));
    view.setInt32(nonce + saltOctets + 4, view.getInt32(ivAt + 4));
    writeAad(this.#arena, this.#suite, nonce + AAD_AFTER_NONCE, start, sequenceHigh);
  }
}

const made = new WeakMap<AeadBatch, Map<EspSuite, BatchedEsp>>();

/** One for all SAs of the suite whose packets wait in this batch. Null: they do not, because CCM, which few use, goes call by call, and so does what is no AEAD. */
export function batchedEsp(arena: Arena, batch: AeadBatch | null, suite: EspSuite): BatchedEsp | null {
  if (batch === null || suite.kind !== "aead" || suite.declaresLength) return null;
  const ofBatch = made.get(batch) ?? new Map<EspSuite, BatchedEsp>();
  made.set(batch, ofBatch);
  const known = ofBatch.get(suite) ?? new BatchedEsp(arena, batch, suite);
  ofBatch.set(suite, known);
  return known;
}
