import { AH, AH_FIXED_OCTETS, IPV6_HEADER } from "../../wire/ah.ts";
import { ESP_HEADER_LENGTH } from "../../wire/esp.ts";
import { writeU16 } from "../../wire/octets.ts";
import type { Arena } from "../ffi/arena.ts";
import type { ReceiveBatch } from "./receive-batch.ts";

/*
 * What raw sockets deliver (raw(7)): an IPv4 packet with its header, an IPv6 one without. Fragments are put together by then. Both functions give
 * where the protected part begins, and -1 when the message is no packet of that protocol.
 */

export function rawEspAt(arena: Arena, batch: ReceiveBatch, index: number, family: 4 | 6): number {
  const start = batch.dataAt(index);
  const end = start + batch.octets(index);
  const at = family === 6 ? start : start + ipv4HeaderOctets(arena.bytes, start, end);
  return end - at < ESP_HEADER_LENGTH || (family === 4 && at === start) ? -1 : at;
}

/**
 * The same of AH, whose outer header, as long as the packet before this offset, begins at `outerHeaderAt`. The IPv6 header, which the kernel keeps to
 * itself, is written anew in the room before the packet from what is known of it. Extension headers between the two are not known, so that the ICV
 * of such a packet will not hold. `readControl` of the message has been called.
 */
export function rawAhAt(arena: Arena, batch: ReceiveBatch, index: number, family: 4 | 6): number {
  const { bytes } = arena;
  const start = batch.dataAt(index);
  const octets = batch.octets(index);
  if (family === 4) {
    const headerOctets = ipv4HeaderOctets(bytes, start, start + octets);
    return headerOctets === 0 || octets - headerOctets < AH_FIXED_OCTETS ? -1 : start + headerOctets;
  }
  const { destinationAt } = batch.control;
  if (destinationAt === 0 || octets < AH_FIXED_OCTETS) return -1;
  const headerAt = start - IPV6_HEADER;
  bytes.fill(0, headerAt, headerAt + 8);
  bytes[headerAt] = 0x60;
  writeU16(bytes, headerAt + 4, octets);
  bytes[headerAt + 6] = AH;
  const sourceAt = batch.nameAt(index) + SOCKADDR_IN6_ADDRESS;
  bytes.copyWithin(headerAt + 8, sourceAt, sourceAt + 16);
  bytes.copyWithin(headerAt + 24, destinationAt, destinationAt + 16);
  return start;
}

/** Of the message with this offset of its AH header. */
export function outerHeaderAt(batch: ReceiveBatch, index: number, family: 4 | 6): number {
  return batch.dataAt(index) - (family === 6 ? IPV6_HEADER : 0);
}

/** Of the packet `[start, end)` of either family without extension headers; 0: it is no whole packet. */
export function outerHeaderOctets(bytes: Uint8Array, start: number, end: number): number {
  if (bytes[start]! >> 4 === 4) return ipv4HeaderOctets(bytes, start, end);
  return end - start < IPV6_HEADER ? 0 : IPV6_HEADER;
}

const SOCKADDR_IN6_ADDRESS = 8;

function ipv4HeaderOctets(bytes: Uint8Array, start: number, end: number): number {
  const octets = (bytes[start]! & 15) * 4;
  return end - start < 20 || octets < 20 || octets > end - start ? 0 : octets;
}
