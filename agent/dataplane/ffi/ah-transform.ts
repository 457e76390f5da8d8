import { findInteg } from "../../crypto/integ.ts";
import type { SaKeys } from "../../crypto/sa-keys.ts";
import { AH_FIXED_OCTETS } from "../../wire/ah.ts";
import { zeroMutableFields } from "../../wire/ah-mutable-fields.ts";
import type { Arena } from "./arena.ts";
import { PacketMac } from "./packet-mac.ts";

const LARGEST_HEADERS = 60;
const SCRATCH_OCTETS = 192;

/**
 * AH's cryptography (RFC 4302 §3.3.3, §3.4.4) of one direction of one SA, over packets in an arena. The outer header is whatever the caller says it
 * is on the wire; the ICV covers its immutable form. Belongs to one worker.
 */
export class AhTransform {
  readonly icvOctets: number;
  readonly #arena: Arena;
  readonly #mac: PacketMac;
  readonly #extended: boolean;
  /** 0: immutable form of the headers (64), 64: high sequence bits (4), 128: the ICV that came (64). */
  readonly #scratch: number;

  /** @throws Error with a sentence when there is no such algorithm. */
  constructor(arena: Arena, keys: SaKeys, extendedSequenceNumbers: boolean) {
    const integ = findInteg(keys.integ);
    if (integ === undefined || keys.integrityKey.length !== integ.keyOctets)
      throw new Error(`the TUN plane has no AH with the integrity algorithm ${keys.integ} and a key of ${keys.integrityKey.length} octets`);
    this.#arena = arena;
    this.#extended = extendedSequenceNumbers;
    this.icvOctets = integ.icvOctets;
    this.#mac = new PacketMac(arena, integ, keys.integrityKey);
    this.#scratch = arena.allocate(SCRATCH_OCTETS);
  }

  /**
   * Writes the ICV of the packet `[ahAt, end)` behind `headerOctets` octets of outer header at `headerAt`, which need not lie before it. The AH header
   * is there with zeros for the ICV.
   */
  seal(headerAt: number, headerOctets: number, ahAt: number, end: number, sequenceHigh: number): void {
    this.#cover(headerAt, headerOctets, ahAt, end, sequenceHigh);
    this.#mac.finishTo(ahAt + AH_FIXED_OCTETS);
  }

  /** Whether the ICV is right; it is zeroed. False also for headers that contradict themselves or are too long to be any that we expect. */
  verify(headerAt: number, headerOctets: number, ahAt: number, end: number, sequenceHigh: number): boolean {
    const { bytes } = this.#arena;
    const icvAt = ahAt + AH_FIXED_OCTETS;
    const cameAt = this.#scratch + 128;
    bytes.copyWithin(cameAt, icvAt, icvAt + this.icvOctets);
    bytes.fill(0, icvAt, icvAt + this.icvOctets);
    return this.#cover(headerAt, headerOctets, ahAt, end, sequenceHigh) && this.#mac.finishIs(cameAt);
  }

  close(): void {
    this.#mac.close();
    this.#arena.free(this.#scratch, SCRATCH_OCTETS);
  }

  #cover(headerAt: number, headerOctets: number, ahAt: number, end: number, sequenceHigh: number): boolean {
    if (headerOctets > LARGEST_HEADERS) return false;
    const { bytes, view } = this.#arena;
    const scratch = this.#scratch;
    bytes.copyWithin(scratch, headerAt, headerAt + headerOctets);
    if (!zeroMutableFields(bytes, scratch, scratch + headerOctets)) return false;
    this.#mac.begin();
    this.#mac.add(scratch, headerOctets);
    this.#mac.add(ahAt, end - ahAt);
    if (this.#extended) {
      view.setUint32(scratch + 64, sequenceHigh);
      this.#mac.add(scratch + 64, 4);
    }
    return true;
  }
}
