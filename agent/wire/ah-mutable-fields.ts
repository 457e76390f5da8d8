import { DESTINATION_OPTIONS, extensionOctets, HOP_BY_HOP, IPV6_HEADER, ROUTING } from "./ah.ts";

/*
 * What AH's ICV takes the headers before it for (RFC 4302 §3.3.3.1): routers may change some fields on the way, so both ends compute it over
 * zeros in their place. Fields whose last value the sender can foresee are covered as the receiver will see them.
 */

/**
 * Zeroes the fields that may change in the headers `bytes[start, ahAt)`, in place: do it on a copy. False: what stands there is malformed, or
 * says that the packet is not at its last destination; nothing may be concluded from it then.
 */
export function zeroMutableFields(bytes: Uint8Array, start: number, ahAt: number): boolean {
  return bytes[start]! >> 4 === 4 ? zeroIpv4(bytes, start, ahAt) : zeroIpv6(bytes, start, ahAt);
}

/** §3.3.3.1.1: TOS, flags, fragment offset, TTL and checksum change; version, lengths, identification, protocol and addresses do not. */
function zeroIpv4(bytes: Uint8Array, start: number, ahAt: number): boolean {
  bytes[start + 1] = 0;
  bytes[start + 6] = 0;
  bytes[start + 7] = 0;
  bytes[start + 8] = 0;
  bytes[start + 10] = 0;
  bytes[start + 11] = 0;
  let at = start + 20;
  while (at < ahAt) {
    const type = bytes[at]!;
    if (type === END_OF_OPTIONS) return true;
    if (type === NO_OPERATION) {
      at++;
      continue;
    }
    const octets = at + 1 < ahAt ? bytes[at + 1]! : 0;
    if (octets < 2 || at + octets > ahAt) return false;
    if (type === LOOSE_ROUTE || type === STRICT_ROUTE) takeLastHop(bytes, start, at, octets);
    if (!IMMUTABLE_OPTIONS.includes(type)) bytes.fill(0, at, at + octets);
    at += octets;
  }
  return true;
}

/** A source route ends at its last address, which the sender puts there in place of its first hop (appendix A1: mutable, but predictable). */
function takeLastHop(bytes: Uint8Array, start: number, optionAt: number, octets: number): void {
  const pointer = octets >= 7 ? bytes[optionAt + 2]! : octets + 1;
  if (pointer <= octets) bytes.copyWithin(start + 16, optionAt + octets - 4, optionAt + octets);
}

/** §3.3.3.1.2: traffic class, flow label and hop limit change, and the data of options whose type says so (RFC 8200 §4.2, third bit). */
function zeroIpv6(bytes: Uint8Array, start: number, ahAt: number): boolean {
  bytes[start] = 0x60;
  bytes[start + 1] = 0;
  bytes[start + 2] = 0;
  bytes[start + 3] = 0;
  bytes[start + 7] = 0;
  let next = bytes[start + 6]!;
  for (let at = start + IPV6_HEADER; at < ahAt; ) {
    const end = at + extensionOctets(bytes, at);
    if (end > ahAt) return false;
    if (next === HOP_BY_HOP || next === DESTINATION_OPTIONS) {
      if (!zeroOptions(bytes, at + 2, end)) return false;
      // RFC 5095 took source routes out of use: one that is not at its end is refused rather than foreseen.
    } else if (next !== ROUTING || bytes[at + 3] !== 0) return false;
    next = bytes[at]!;
    at = end;
  }
  return true;
}

function zeroOptions(bytes: Uint8Array, start: number, end: number): boolean {
  for (let at = start; at < end; ) {
    const type = bytes[at]!;
    if (type === PAD_1) {
      at++;
      continue;
    }
    if (at + 2 > end || at + 2 + bytes[at + 1]! > end) return false;
    const dataEnd = at + 2 + bytes[at + 1]!;
    if ((type & MAY_CHANGE) !== 0) bytes.fill(0, at + 2, dataEnd);
    at = dataEnd;
  }
  return true;
}

const END_OF_OPTIONS = 0;
const NO_OPERATION = 1;
const LOOSE_ROUTE = 131;
const STRICT_ROUTE = 137;
/** Appendix A1: security, extended and commercial security, router alert, sender directed delivery. All others are zeroed whole. */
const IMMUTABLE_OPTIONS: readonly number[] = [130, 133, 134, 148, 149];

const PAD_1 = 0;
const MAY_CHANGE = 0x20;
