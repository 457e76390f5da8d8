import type { Arena } from "../ffi/arena.ts";
import { errno, libc } from "../ffi/native.ts";
import { VNET_HEADER_OCTETS } from "../ffi/tun-device.ts";

const FRAME_OCTETS = VNET_HEADER_OCTETS + 65_535;
/** One of more is of many segments: it is taken before the next is read, because it and what is sealed of it fill the cache. */
const SMALL_OCTETS = 2_048;
const FRAMES_AT_ONCE = 16;

/** Reads frames of the TUN device into the arena, small ones several at once, so that what their packets need can be read ahead (read-ahead.ts). */
export class FrameReader {
  readonly #arena: Arena;
  readonly #fd: number;
  readonly #buffer: number;
  readonly #at = new Int32Array(FRAMES_AT_ONCE);
  readonly #octets = new Int32Array(FRAMES_AT_ONCE);
  #failure = 0;

  constructor(arena: Arena, fd: number) {
    this.#arena = arena;
    this.#fd = fd;
    this.#buffer = arena.allocate(FRAME_OCTETS + FRAMES_AT_ONCE * SMALL_OCTETS);
  }

  /** How many frames have been read in place of those before: less than the most behind a large one, or none, once the device gives no more (`failure`). */
  read(): number {
    let next = this.#buffer;
    for (let count = 0; count < FRAMES_AT_ONCE; ) {
      const octets = Number(libc.read(this.#fd, this.#arena.address + next, FRAME_OCTETS));
      this.#failure = octets < 0 ? errno() : 0;
      if (octets < 0) return count;
      this.#at[count] = next;
      this.#octets[count++] = octets;
      if (octets > SMALL_OCTETS) return count;
      // In a cache line of its own.
      next += (octets + 63) & ~63;
    }
    return FRAMES_AT_ONCE;
  }

  /** The errno that ended the last `read`; 0: there may be more. */
  get failure(): number {
    return this.#failure;
  }

  /** Where in the arena the frame of this number begins: with its vnet header. */
  at(index: number): number {
    return this.#at[index]!;
  }

  /** Of the whole frame. */
  octets(index: number): number {
    return this.#octets[index]!;
  }

  static readonly most = FRAMES_AT_ONCE;
}
