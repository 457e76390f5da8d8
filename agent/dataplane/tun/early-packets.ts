import type { EspSpi } from "../../wire/ikev2/message-types.ts";
import type { Arena } from "../ffi/arena.ts";

/*
 * ESP that arrives before its SA. A responder may send under the new keys as soon as it has answered (RFC 7296 §1.2), and that packet can
 * overtake the answer, or be here before the answer has been read and the SA installed. Dropped, it would be a loss at every make-before-break
 * reauthentication. So the last few datagrams of unknown SPIs are kept for a moment. They are copied, not opened: they go through the replay
 * window and the ICV like any other once there are keys. Memory is fixed; a flood of made-up SPIs pushes out what is kept and no more.
 * ESP and AH are kept apart: what is read as the other has another SPI, which the other end, or anybody on the way, has chosen.
 */
const SLOTS = 64;
const DATA_OCTETS = 2_048;
const NAME_OCTETS = 64;
const SLOT_OCTETS = DATA_OCTETS + NAME_OCTETS;

type Protocol = "esp" | "ah";

/** For how long a packet is worth keeping: a busy machine's time from answer to installed SA. */
export const EARLY_PACKET_MS = 1_000;

/** A ring of datagrams in the arena. Positions are arena offsets; times are milliseconds of any one clock. */
export class EarlyPackets {
  readonly #arena: Arena;
  readonly #base: number;
  readonly #octets = new Uint32Array(SLOTS);
  readonly #spis = new Uint32Array(SLOTS);
  readonly #outerClass = new Uint8Array(SLOTS);
  readonly #isAh = new Uint8Array(SLOTS);
  readonly #arrivedAt = new Float64Array(SLOTS);
  #next = 0;
  #isTaking = false;

  constructor(arena: Arena) {
    this.#arena = arena;
    this.#base = arena.allocate(SLOT_OCTETS * SLOTS);
  }

  /**
   * Copies the packet `[start, end)` of this SPI, its sender's sockaddr at `nameAt` and its outer traffic class; the oldest makes room. Larger than 2,048 octets: not kept.
   * Nor while packets are being taken: what has been opened in a slot may not have been written to the device yet, and nothing unopened may take its place.
   */
  keep(protocol: Protocol, spi: EspSpi, start: number, end: number, nameAt: number, outerClass: number, now: number): void {
    if (end - start > DATA_OCTETS || this.#isTaking) return;
    const slot = this.#next;
    this.#next = (slot + 1) % SLOTS;
    const at = this.#at(slot);
    this.#arena.bytes.copyWithin(at, start, end);
    this.#arena.bytes.copyWithin(at + DATA_OCTETS, nameAt, nameAt + NAME_OCTETS);
    this.#octets[slot] = end - start;
    this.#spis[slot] = spi;
    this.#isAh[slot] = protocol === "ah" ? 1 : 0;
    this.#outerClass[slot] = outerClass;
    this.#arrivedAt[slot] = now;
  }

  /** Hands over, in the order of arrival, what came for this SPI of this protocol within the last second, and forgets it. */
  take(protocol: Protocol, spi: EspSpi, now: number, open: (start: number, end: number, nameAt: number, outerClass: number) => void): void {
    const isAh = protocol === "ah" ? 1 : 0;
    this.#isTaking = true;
    try {
      for (let index = 0; index < SLOTS; index++) {
        const slot = (this.#next + index) % SLOTS;
        const octets = this.#octets[slot]!;
        const at = this.#at(slot);
        if (octets === 0 || this.#spis[slot] !== spi || this.#isAh[slot] !== isAh) continue;
        this.#octets[slot] = 0;
        if (now - this.#arrivedAt[slot]! <= EARLY_PACKET_MS) open(at, at + octets, at + DATA_OCTETS, this.#outerClass[slot]!);
      }
    } finally {
      this.#isTaking = false;
    }
  }

  #at(slot: number): number {
    return this.#base + SLOT_OCTETS * slot;
  }
}
