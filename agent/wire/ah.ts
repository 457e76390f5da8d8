import type { EspSpi } from "./ikev2/message-types.ts";
import { readU16, readU32, writeU32 } from "./octets.ts";

/*
 * AH (RFC 4302 §2): 0 next header (1) · 1 length in 4-octet units less 2 (1) · 2 reserved (2) · 4 SPI (4) · 8 sequence number, low 32 bits (4) ·
 * 12 ICV, padded so that the header is a multiple of 4 octets in IPv4 and of 8 in IPv6. It stands behind the IP header and those IPv6 extension
 * headers that routers look at, and its ICV covers them, the fields that change on the way taken as zero (ah-mutable-fields.ts).
 */
export const AH_FIXED_OCTETS = 12;

/** Octets of the whole header, padding included (RFC 4302 §3.3.3.2.1). */
export function ahOctets(icvOctets: number, family: 4 | 6): number {
  const alignment = family === 4 ? 4 : 8;
  return Math.ceil((AH_FIXED_OCTETS + icvOctets) / alignment) * alignment;
}

/** What the header says of its own length. The caller has at least 2 octets from `at`. */
export function ahStatedOctets(bytes: Uint8Array, at: number): number {
  return (bytes[at + 1]! + 2) * 4;
}

/** The caller has at least 12 octets from `at`, as for `ahSequence`. */
export function ahSpi(bytes: Uint8Array, at: number): EspSpi {
  return readU32(bytes, at + 4) as EspSpi;
}

/** The low 32 bits of the sequence number. */
export function ahSequence(bytes: Uint8Array, at: number): number {
  return readU32(bytes, at + 8);
}

/** Writes the header of `octets` octets (from `ahOctets`) with an ICV and padding of zeros. */
export function writeAhHeader(bytes: Uint8Array, at: number, octets: number, nextHeader: number, spi: number, sequenceLow: number): void {
  bytes[at] = nextHeader;
  bytes[at + 1] = octets / 4 - 2;
  bytes[at + 2] = 0;
  bytes[at + 3] = 0;
  writeU32(bytes, at + 4, spi);
  writeU32(bytes, at + 8, sequenceLow);
  bytes.fill(0, at + AH_FIXED_OCTETS, at + octets);
}

/**
 * Whether a header at `at` in `bytes[…, end)` can be one with an ICV of `icvOctets`. In IPv4 some senders, Linux among them, pad to 8 octets
 * unless told otherwise: both are taken, since the length is on the wire and under the ICV.
 */
export function isPossibleAh(bytes: Uint8Array, at: number, end: number, icvOctets: number, family: 4 | 6): boolean {
  if (end - at < AH_FIXED_OCTETS) return false;
  const octets = ahStatedOctets(bytes, at);
  if (at + octets > end) return false;
  return octets === ahOctets(icvOctets, family) || octets === ahOctets(icvOctets, 6);
}

/** Where a whole packet has its AH header; -1: none, or not one that its receiver could check (a fragment). */
export function findAh(bytes: Uint8Array, start: number, end: number): number {
  const at = endOfPath(bytes, start, end);
  return at !== -1 && protocolBefore(bytes, start, at) === AH ? at : -1;
}

/**
 * Where AH belongs in a packet that has none: behind the IP header, and in IPv6 behind hop-by-hop options, routing header and the destination
 * options before that (RFC 4302 §3.1.1). -1: no whole packet, or a fragment, which AH is never applied to (§3.3.4).
 */
export function endOfPath(bytes: Uint8Array, start: number, end: number): number {
  return end > start && bytes[start]! >> 4 === 4 ? endOfIpv4(bytes, start, end) : endOfIpv6(bytes, start, end);
}

/** The offset of the octet that names the header at `at`: what changes when AH is put in or taken out. `at` is from `findAh` or `endOfPath`. */
export function protocolFieldBefore(bytes: Uint8Array, start: number, at: number): number {
  if (bytes[start]! >> 4 === 4) return start + 9;
  let field = start + 6;
  for (let here = start + IPV6_HEADER; here < at; here += extensionOctets(bytes, here)) field = here;
  return field;
}

export const AH = 51;
export const IPV6_HEADER = 40;
export const HOP_BY_HOP = 0;
export const ROUTING = 43;
export const DESTINATION_OPTIONS = 60;

export function extensionOctets(bytes: Uint8Array, at: number): number {
  return (bytes[at + 1]! + 1) * 8;
}

function protocolBefore(bytes: Uint8Array, start: number, at: number): number {
  return bytes[protocolFieldBefore(bytes, start, at)]!;
}

function endOfIpv4(bytes: Uint8Array, start: number, end: number): number {
  if (end - start < 20) return -1;
  const octets = (bytes[start]! & 15) * 4;
  const isFragment = (readU16(bytes, start + 6) & 0x3fff) !== 0;
  return octets < 20 || start + octets > end || readU16(bytes, start + 2) !== end - start || isFragment ? -1 : start + octets;
}

function endOfIpv6(bytes: Uint8Array, start: number, end: number): number {
  if (end - start < IPV6_HEADER || bytes[start]! >> 4 !== 6 || readU16(bytes, start + 4) !== end - start - IPV6_HEADER) return -1;
  let next = bytes[start + 6]!;
  let at = start + IPV6_HEADER;
  while (next === HOP_BY_HOP || next === ROUTING || next === DESTINATION_OPTIONS) {
    if (at + 8 > end || at + extensionOctets(bytes, at) > end) return -1;
    next = bytes[at]!;
    at += extensionOctets(bytes, at);
  }
  return next === FRAGMENT ? -1 : at;
}

const FRAGMENT = 44;
