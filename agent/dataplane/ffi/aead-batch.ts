import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { Arena } from "./arena.ts";
import { gcmLibrary } from "./gcm-library.ts";
import { loadNativeBatch, type NativeBatch } from "./native.ts";

/** struct job of native/aead-batch.c. */
const Job = { cipher: 0, text: 16, icv: 24, textOctets: 32, aadOctets: 36, icvOctets: 40, done: 44, nonce: 48, aad: 64 } as const;
const JOB_OCTETS = 80;

/** Where set-up leaves the function, seen from the bundled workers and from this file. */
const places = ["../native/aead-batch.so", "../../../dist/native/aead-batch.so"];

/**
 * Packets whose cryptography is done together by one native call (native/aead-batch.c): one crossing from JavaScript for a batch in
 * place of five for every packet. It exists only where set-up found a C compiler; without it each packet is done by itself and
 * all else is the same. All jobs of one batch go in one direction. Belongs to one worker, and nothing is allocated once it is made.
 */
export class AeadBatch {
  readonly capacity: number;
  readonly #arena: Arena;
  readonly #native: NativeBatch;
  readonly #jobs: number;
  readonly #seals: 0 | 1;
  readonly #keyOctets = gcmLibrary()?.expandedOctets ?? 0;
  #count = 0;

  constructor(arena: Arena, native: NativeBatch, direction: "seal" | "open", capacity: number) {
    this.#arena = arena;
    this.#native = native;
    this.#seals = direction === "seal" ? 1 : 0;
    this.capacity = capacity;
    this.#jobs = arena.allocate(JOB_OCTETS * capacity);
  }

  /** Null where the native function was not built for this version, or `CULVERT_NATIVE=off` asks to do without. @throws Error when it is there and cannot be loaded. */
  static create(arena: Arena, direction: "seal" | "open", capacity: number): AeadBatch | null {
    const file = nativeFile();
    const native = file === null ? null : loadNativeBatch(file);
    return native === null ? null : new AeadBatch(arena, native, direction, capacity);
  }

  get isFull(): boolean {
    return this.#count === this.capacity;
  }

  /**
   * Notes one packet: `textAt` is encrypted or decrypted in place, the ICV is read from or written behind it. `cipherAt` is where the cipher lies in the
   * arena: the address of what its function works with, and the function's, 0 for OpenSSL's. Returns the arena offset at which the caller writes the
   * nonce (16 octets); the associated data belong 16 octets after that. `run` before the batch is full.
   */
  add(cipherAt: number, textAt: number, textOctets: number, aadOctets: number, icvOctets: number): number {
    const arena = this.#arena;
    const { words } = arena;
    const at = this.#jobs + JOB_OCTETS * this.#count++;
    const word = at >>> 2;
    const cipher = cipherAt >>> 2;
    for (let i = 0; i < Job.text / 4; i++) words[word + Job.cipher / 4 + i] = words[cipher + i]!;
    arena.writePointer(at + Job.text, textAt);
    arena.writePointer(at + Job.icv, textAt + textOctets);
    words[word + Job.textOctets / 4] = textOctets;
    words[word + Job.aadOctets / 4] = aadOctets;
    words[word + Job.icvOctets / 4] = icvOctets;
    return at + Job.nonce;
  }

  /** Does all that was noted; their outcome can be asked for until the next `add`. Returns how many failed. */
  run(): number {
    const count = this.#count;
    this.#count = 0;
    return count === 0 ? 0 : this.#native(this.#arena.address + this.#jobs, count, this.#seals, this.#keyOctets);
  }

  /** `run` for sealing, where no packet may be left as it was. @throws Error when OpenSSL failed. */
  runSeals(): void {
    if (this.run() > 0) throw new Error("OpenSSL could not encrypt a packet");
  }

  /** Whether the job with this number (from 0, in the order of `add`) succeeded: when opening, whether its ICV was right. */
  succeeded(index: number): boolean {
    return this.#arena.words[(this.#jobs + JOB_OCTETS * index + Job.done) >>> 2] === 1;
  }
}

/** From the nonce of a job to its associated data. */
export const AAD_AFTER_NONCE = Job.aad - Job.nonce;

/** The built function's path; null: none, or not wanted. */
export function nativeFile(): string | null {
  if (process.env.CULVERT_NATIVE === "off") return null;
  for (const place of places) {
    const file = fileURLToPath(new URL(place, import.meta.url));
    if (existsSync(file)) return file;
  }
  return null;
}
