import type { Instant } from "./endpoint-types.ts";

/*
 * How large a packet the path to a peer takes: a search in the manner of RFC 8899 §5 (packetization layer path MTU discovery). Probes are padded
 * INFORMATIONAL requests that no router may fragment (v2/path-probe.ts); the answer says that one has passed, and only silence that it has not, so a
 * path whose routers say nothing is found out as well. What routers do say (RFC 1191, RFC 8201) shortens the search.
 */

/** What the path is taken to carry until something else is known, and the most that is ever tried: ESP that is too large may be fragmented outside. */
export const LARGEST_PACKET = 1_500;
/** Every IPv6 path carries this, and hardly an IPv4 one does not: where the search begins from below. */
const BASE = 1_280;
/** Below this nobody is believed (RFC 1191 §3 and RFC 8200 §5): less would be an attack. */
const FLOOR = { 4: 576, 6: 1_280 } as const;
/** How far apart a size that passes and one that does not may stay: a suite of whole blocks cannot probe every size, and its blocks are no larger. */
const PRECISION = 16;
/** A probe may get lost for other reasons. */
const TRIES = 2;
/** After the first IKE SA is up: what its children still have to say goes first. */
export const FIRST_PROBE_MS = 1_000;
/** A path may change for the worse, and for the better. */
const CONFIRM_MS = 300_000;
const RAISE_MS = 600_000;

/** Sizes are octets of the whole outer packet, from its IP header on. */
export class PathSearch {
  readonly #floor: number;
  /** What is known to pass or taken to, and the least that is known not to. */
  #passes: number;
  #fails = LARGEST_PACKET + 1;
  #size = LARGEST_PACKET;
  /** To be tried next, in place of what the search would choose. */
  #candidate: number | null = null;
  #tries = 0;
  #isKnown = false;
  #raiseAt = 0;
  /** What the data plane was told; null: nothing. */
  announced: number | null = null;
  /** When the next probe is due. */
  nextAt: Instant;

  constructor(family: 4 | 6, firstAt: Instant) {
    this.#floor = FLOOR[family];
    this.#passes = BASE;
    this.nextAt = firstAt;
  }

  /** The size to be kept to now. */
  get size(): number {
    return this.#size;
  }

  /** Whether a probe of that size has passed. */
  get isKnown(): boolean {
    return this.#isKnown;
  }

  /** The size of the next probe. */
  get probe(): number {
    if (this.#candidate !== null) return this.#candidate;
    if (this.#fails > LARGEST_PACKET) return LARGEST_PACKET;
    // So far above what passes that its blocks reach beyond that as well: else the same probe would be made for ever.
    return Math.max(this.#passes + PRECISION, (this.#passes + ((this.#fails - this.#passes) >> 1)) & ~3);
  }

  /** A probe of this size was answered. What every path carries needs no proof: blocks may have made the probe a little smaller. */
  passed(octets: number, now: Instant): void {
    const size = Math.max(octets, this.#floor);
    this.#tries = 0;
    this.#candidate = null;
    this.#passes = size;
    this.#size = size;
    this.#isKnown = this.#fails - size <= PRECISION;
    if (this.#isKnown) this.#settle(now);
    else this.nextAt = now;
  }

  /** A probe of this size was not. */
  failed(octets: number, now: Instant): void {
    this.nextAt = now;
    this.#tries += 1;
    if (this.#tries < TRIES) {
      this.#candidate = octets;
      return;
    }
    this.#tries = 0;
    this.#candidate = null;
    this.#isKnown = false;
    this.#fails = Math.min(this.#fails, octets);
    // What has passed before does no more: the path has changed.
    if (octets <= this.#passes) this.#passes = octets > BASE ? BASE : this.#floor;
    this.#size = Math.min(this.#size, this.#passes);
    const isSearching = this.#fails - this.#passes > PRECISION;
    if (isSearching) return;
    // Nothing above it passes, and it has only been taken to.
    if (this.#passes > this.#floor || octets > this.#floor) this.#candidate = this.#passes;
    else this.#settle(now);
  }

  /** A router says that it passes on no more than `octets`. The caller has checked that it speaks of our packet. */
  told(octets: number, now: Instant): void {
    const size = Math.max(octets, this.#floor);
    if (size >= this.#fails - 1 || size >= LARGEST_PACKET) return;
    this.#fails = size + 1;
    this.#passes = Math.min(this.#passes, size > BASE ? BASE : this.#floor);
    this.#size = Math.min(this.#size, size);
    this.#candidate = size;
    this.#tries = 0;
    this.#isKnown = false;
    this.nextAt = now;
  }

  /** Confirmed from time to time, and now and then the most is tried again. */
  #settle(now: Instant): void {
    this.nextAt = now + CONFIRM_MS;
    this.#candidate = this.#size;
    if (this.#size >= LARGEST_PACKET - PRECISION) return;
    if (this.#raiseAt === 0) this.#raiseAt = now + RAISE_MS;
    if (now < this.#raiseAt) return;
    this.#raiseAt = 0;
    this.#fails = LARGEST_PACKET + 1;
    this.#candidate = LARGEST_PACKET;
    this.nextAt = now;
  }
}
