/*
 * Anti-replay (RFC 4303 §3.4.3 and appendix A2) with the ring of words of RFC 6479: moving the window zeroes words and shifts
 * nothing. Sequence numbers are plain numbers below 2^53: at 10 million packets a second that lasts 28 years, far beyond any
 * lifetime, and costs no bigint per packet.
 */
const WORD_BITS = 32;
const LOW_BITS = WORD_BITS - 1;
const TWO_32 = 2 ** 32;
const MINIMUM_PACKETS = 64;
export const MAXIMUM_PACKETS = 4096;

/**
 * Which sequence numbers of one inbound SA have passed. Use: `check` before decryption, verify the ICV, then `mark`; a forged
 * packet must never move the window.
 */
export class ReplayWindow {
  readonly windowPackets: number;
  readonly #words: Uint32Array;
  /** Where its ring begins in them. */
  readonly #at: number;
  readonly #mask: number;
  #highest = 0;

  /** 64 to 4096 packets; throws RangeError otherwise. The ring is `wordsOf(windowPackets)` zeros in `words` from index `at` on; its own unless told. */
  constructor(windowPackets: number, words: Uint32Array = new Uint32Array(ReplayWindow.wordsOf(windowPackets)), at = 0) {
    this.windowPackets = windowPackets;
    this.#words = words;
    this.#at = at;
    this.#mask = ReplayWindow.wordsOf(windowPackets) - 1;
  }

  /** Throws RangeError as the constructor does. */
  static wordsOf(windowPackets: number): number {
    if (!Number.isInteger(windowPackets) || windowPackets < MINIMUM_PACKETS || windowPackets > MAXIMUM_PACKETS) {
      throw new RangeError(`A replay window has ${MINIMUM_PACKETS} to ${MAXIMUM_PACKETS} packets, not ${windowPackets}.`);
    }
    // One word more than the window needs: the word that the top is in is only partly used (RFC 6479 §2). A power of two, so that a place in the ring is a mask.
    return 2 ** Math.ceil(Math.log2(Math.ceil(windowPackets / WORD_BITS) + 1));
  }

  /** The right edge: the highest number marked; 0 before the first. */
  get highest(): number {
    return this.#highest;
  }

  /** Whether a packet of this number may be processed: neither seen, nor left of the window, nor 0. Changes nothing. */
  check(sequence: number): boolean {
    if (sequence > this.#highest) return true;
    if (sequence === 0 || sequence + this.windowPackets <= this.#highest) return false;
    const bit = 1 << (sequence & LOW_BITS);
    return (this.#words[this.#slotOf(sequence)]! & bit) === 0;
  }

  /** Remembers an authenticated packet that `check` let pass, and moves the window if it is the highest. */
  mark(sequence: number): void {
    if (sequence > this.#highest) {
      this.#clearBetween(this.#highest, sequence);
      this.#highest = sequence;
    }
    const slot = this.#slotOf(sequence);
    this.#words[slot] = this.#words[slot]! | (1 << (sequence & LOW_BITS));
  }

  #slotOf(sequence: number): number {
    return this.#at + (Math.floor(sequence / WORD_BITS) & this.#mask);
  }

  #clearBetween(from: number, to: number): void {
    const first = Math.floor(from / WORD_BITS) + 1;
    const last = Math.floor(to / WORD_BITS);
    if (last - first >= this.#mask) {
      this.#words.fill(0, this.#at, this.#at + this.#mask + 1);
      return;
    }
    for (let index = first; index <= last; index++) this.#words[this.#at + (index & this.#mask)] = 0;
  }
}

/**
 * The whole extended sequence number of a packet that carries only the low 32 bits (RFC 4303 appendix A2.2): the one nearest to
 * the window. -1 when there is none, because it would lie before the first packet or beyond 2^53. The guess is confirmed by the
 * ICV, which covers the high bits.
 */
export function inferSequenceNumber(low: number, highest: number, windowPackets: number): number {
  const topLow = highest % TWO_32;
  const topHigh = (highest - topLow) / TWO_32;
  const bottom = topLow - windowPackets + 1;
  let high = topHigh;
  if (bottom >= 0) {
    // The window lies within one 2^32: a number left of it is from the next.
    if (low < bottom) high = topHigh + 1;
  } else if (low >= bottom + TWO_32) {
    // The window straddles two: the upper end of the numbers is from the one before.
    high = topHigh - 1;
  }
  const sequence = high * TWO_32 + low;
  return high < 0 || sequence > Number.MAX_SAFE_INTEGER ? -1 : sequence;
}

/** The high 32 bits of a sequence number: what the ICV covers with ESN (RFC 4303 §2.2.1). */
export function highBits(sequence: number): number {
  return Math.floor(sequence / TWO_32);
}
