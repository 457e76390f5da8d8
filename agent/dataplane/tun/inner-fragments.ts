import { readU16, writeU16 } from "../../wire/octets.ts";
import type { Arena } from "../ffi/arena.ts";
import { writeIpv4Checksum } from "./tcp-header.ts";

const HEADER_OCTETS = 20;
const MORE_FRAGMENTS = 0x2000;
const OFFSET_MASK = 0x1fff;

/** Whether the IPv4 packet at `start` can be cut here: an option may be one that only the first fragment has (RFC 791 §3.1), so those with options are not. */
export function canFragment(bytes: Uint8Array, start: number): boolean {
  return bytes[start] === 0x45;
}

/**
 * Cuts the IPv4 packet at `start`, which may be a fragment itself, into fragments of at most `largest` octets (RFC 791 §3.2): before the tunnel, so that
 * neither end has to put outer packets together, and no router on the way has to cut them. `place` says where the next must be written, `done` takes it; when
 * it says false the rest is not made, and this says false.
 */
export function fragmentIpv4(
  arena: Arena,
  start: number,
  totalOctets: number,
  largest: number,
  place: (octets: number) => number,
  done: (at: number, octets: number) => boolean,
): boolean {
  const { bytes } = arena;
  const dataOctets = totalOctets - HEADER_OCTETS;
  const step = (largest - HEADER_OCTETS) & ~7;
  const field = readU16(bytes, start + 6);
  for (let offset = 0; offset < dataOctets; offset += step) {
    const octets = Math.min(step, dataOctets - offset);
    const at = place(HEADER_OCTETS + octets);
    bytes.copyWithin(at, start, start + HEADER_OCTETS);
    bytes.copyWithin(at + HEADER_OCTETS, start + HEADER_OCTETS + offset, start + HEADER_OCTETS + offset + octets);
    const hasMore = offset + octets < dataOctets || (field & MORE_FRAGMENTS) !== 0;
    writeU16(bytes, at + 2, HEADER_OCTETS + octets);
    writeU16(bytes, at + 6, (hasMore ? MORE_FRAGMENTS : 0) | ((field & OFFSET_MASK) + (offset >> 3)));
    writeIpv4Checksum(arena, at, at + HEADER_OCTETS);
    if (!done(at, HEADER_OCTETS + octets)) return false;
  }
  return true;
}
