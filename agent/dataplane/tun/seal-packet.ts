import { highBits } from "../../ipsec/replay-window.ts";
import { padLengthFor, writeEspTrailer } from "../../wire/esp.ts";
import type { Arena } from "../ffi/arena.ts";
import type { EspTransform } from "../ffi/esp-transform.ts";
import { type AhSealing, sealWithAh } from "./ah-sealing.ts";
import { trafficClass } from "./ecn.ts";
import { nextSequence, type TransmitSa } from "./outbound-sa.ts";
import { commitFragments, isCutOutside, roomBefore, roomForHeaders } from "./outer-fragments.ts";
import type { TransmitBatch } from "./transmit-batch.ts";

const NEXT_IPV4 = 4;
const NEXT_IPV6 = 41;

/** Header, IV, padding, trailer and ICV never add more than this. */
const OVERHEAD_OCTETS = 128;

/** Where an inner packet of this length must be written so that it can be sealed in place. */
export function reserveInner(batch: TransmitBatch, sa: TransmitSa, innerOctets: number): number {
  const front = sa.frontOctets;
  const octets = innerOctets + OVERHEAD_OCTETS;
  if (!isCutOutside(sa, innerOctets)) return batch.reserve(octets) + front;
  // An empty batch takes all fragments of a packet.
  batch.flush();
  const before = roomBefore(sa);
  return batch.reserve(before + octets + roomForHeaders(sa, octets)) + before + front;
}

/**
 * Seals the inner packet at `innerAt` (from `reserveInner`) under the SA's next sequence number and puts it into the batch. False: the
 * sequence numbers are used up and nothing was sent.
 */
export function sealInner(arena: Arena, batch: TransmitBatch, sa: TransmitSa, innerAt: number, innerOctets: number, family: 4 | 6): boolean {
  const sequence = nextSequence(sa);
  if (sequence === 0) return false;
  const low = sequence >>> 0;
  const high = highBits(sequence);
  const nextHeader = family === 4 ? NEXT_IPV4 : NEXT_IPV6;
  const outerClass = trafficClass(arena.bytes, innerAt, family);
  const { shape } = sa;
  if (shape === null) {
    authenticate(arena, batch, sa, innerAt, innerOctets, low, high, nextHeader, outerClass);
    return true;
  }
  const start = innerAt - sa.frontOctets;
  arena.view.setInt32(start, sa.spiWord);
  arena.view.setInt32(start + 4, low | 0);
  const padLength = padLengthFor(innerOctets, shape.alignment);
  const contentEnd = writeEspTrailer(arena.bytes, innerAt + innerOctets, padLength, nextHeader);
  const { batched } = sa;
  const end = batched === null ? espOf(sa).seal(start, contentEnd, low, high) : batched.seal(sa.lineAt, start, contentEnd, low, high);
  commitSealed(arena, batch, sa, start, end, innerOctets, outerClass);
  return true;
}

function authenticate(
  arena: Arena,
  batch: TransmitBatch,
  sa: TransmitSa,
  innerAt: number,
  innerOctets: number,
  low: number,
  high: number,
  nextHeader: number,
  outerClass: number,
): void {
  const ah = ahOf(sa);
  const start = innerAt - ah.frontOctets;
  const end = innerAt + innerOctets;
  sealWithAh(arena, ah, start, end, sa.spi, low, high, nextHeader, outerClass);
  commitSealed(arena, batch, sa, start, end, innerOctets, outerClass);
}

function commitSealed(arena: Arena, batch: TransmitBatch, sa: TransmitSa, start: number, end: number, innerOctets: number, outerClass: number): void {
  if (isCutOutside(sa, innerOctets)) commitFragments(arena, batch, sa, start, end, outerClass);
  else batch.commit(sa, end - start, outerClass);
}

function espOf({ transform }: TransmitSa): EspTransform {
  if (transform === null) throw new TypeError("an SA is of ESP or of AH");
  return transform;
}

function ahOf({ ah }: TransmitSa): AhSealing {
  if (ah === null) throw new TypeError("an SA is of ESP or of AH");
  return ah;
}
