import { padLengthFor, writeEspTrailer } from "../../wire/esp.ts";
import { writeU32 } from "../../wire/octets.ts";
import type { Arena } from "../ffi/arena.ts";
import { trafficClass } from "./ecn.ts";
import { isExhausted, type TransmitSa } from "./outbound-sa.ts";
import type { TransmitBatch } from "./transmit-batch.ts";

const TWO_32 = 2 ** 32;
const NEXT_IPV4 = 4;
const NEXT_IPV6 = 41;

/** Header, IV, padding, trailer and ICV never add more than this. */
const OVERHEAD_OCTETS = 128;

/** Where an inner packet of this length must be written so that it can be sealed in place. */
export function reserveInner(batch: TransmitBatch, sa: TransmitSa, innerOctets: number): number {
  return batch.reserve(innerOctets + OVERHEAD_OCTETS) + 8 + sa.transform.ivOctets;
}

/**
 * Seals the inner packet at `innerAt` (from `reserveInner`) under the SA's next sequence number and puts it into the batch. False: the
 * sequence numbers are used up and nothing was sent.
 */
export function sealInner(arena: Arena, batch: TransmitBatch, sa: TransmitSa, innerAt: number, innerOctets: number, family: 4 | 6): boolean {
  if (isExhausted(sa)) return false;
  const start = innerAt - 8 - sa.transform.ivOctets;
  const sequence = ++sa.sequence;
  const low = sequence % TWO_32;
  const high = Math.floor(sequence / TWO_32);
  writeU32(arena.bytes, start, sa.spi);
  writeU32(arena.bytes, start + 4, low);
  const outerClass = trafficClass(arena.bytes, innerAt, family);
  const padLength = padLengthFor(innerOctets, sa.transform.alignment);
  const contentEnd = writeEspTrailer(arena.bytes, innerAt + innerOctets, padLength, family === 4 ? NEXT_IPV4 : NEXT_IPV6);
  const end = sa.transform.seal(start, contentEnd, low, high);
  batch.commit(sa, end - start, outerClass);
  return true;
}
