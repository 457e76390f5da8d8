import { CryptoError } from "./crypto-error.ts";
import type { DerSubject } from "./der.ts";

/**
 * One element after the other without an object for each, for what holds very many of them. Reads as `derElements` does; positions count
 * from the beginning of `octets`.
 */
export class DerCursor {
  /** Where the content of the element that was read last begins, and where it ends. */
  start = 0;
  end = 0;
  readonly octets: Uint8Array;
  readonly #subject: DerSubject;

  constructor(octets: Uint8Array, subject: DerSubject) {
    this.octets = octets;
    this.#subject = subject;
  }

  /** The tag of the element at `at`, which may go up to `limit`. @throws CryptoError where its length is impossible or goes beyond that. */
  read(at: number, limit: number): number {
    const { octets } = this;
    if (at + 2 > limit) throw this.#broken("ends early");
    let length = octets[at + 1]!;
    let start = at + 2;
    if (length >= 0x80) {
      const count = length & 0x7f;
      if (count === 0 || count > 3) throw this.#broken("has an impossible length");
      if (start + count > limit) throw this.#broken("ends early");
      length = 0;
      for (let i = 0; i < count; i++) length = length * 256 + octets[start++]!;
    }
    if (start + length > limit) throw this.#broken("ends early");
    this.start = start;
    this.end = start + length;
    return octets[at]!;
  }

  #broken(how: string): CryptoError {
    return new CryptoError(this.#subject.code, `${this.#subject.what} ${how}`);
  }
}
