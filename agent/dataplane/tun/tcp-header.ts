import { IpProtocol, type IpPacketView } from "../../wire/ip.ts";
import { readU16, writeU16 } from "../../wire/octets.ts";
import type { Arena } from "../ffi/arena.ts";

/** Offsets in a TCP header (RFC 9293 §3.1), and its flags. */
export const Tcp = { sequence: 4, acknowledgment: 8, dataOffset: 12, flags: 13, window: 14, checksum: 16, urgentPointer: 18, options: 20 } as const;
export const TcpFlag = { FIN: 0x01, SYN: 0x02, RST: 0x04, PSH: 0x08, ACK: 0x10, URG: 0x20, ECE: 0x40, CWR: 0x80 } as const;

const MSS_OPTION = 2;

/** Octets of the TCP header at the transport offset; 0 when it does not fit in the packet. */
export function tcpHeaderOctets(bytes: Uint8Array, view: IpPacketView, packetEnd: number): number {
  const at = view.transportOffset;
  if (at + 20 > packetEnd) return 0;
  const octets = (bytes[at + Tcp.dataOffset]! >> 4) * 4;
  return octets >= 20 && at + octets <= packetEnd ? octets : 0;
}

/** Sum of the pseudo-header (RFC 9293 §3.1, RFC 8200 §8.1), folded, not complemented. */
export function pseudoHeaderSum(arena: Arena, view: IpPacketView, protocol: number, octets: number): number {
  const addresses = arena.sum(view.sourceOffset, view.family === 4 ? 8 : 32);
  return folded(addresses + protocol + (octets >>> 16) + (octets & 0xffff));
}

export function writeIpv4Checksum(arena: Arena, start: number, transportOffset: number): void {
  writeU16(arena.bytes, start + 10, 0);
  writeU16(arena.bytes, start + 10, ~arena.sum(start, transportOffset - start) & 0xffff);
}

/**
 * Lowers the MSS that a SYN announces to what fits the tunnel (RFC 4459 §3.2), and mends the checksum (RFC 1624 §3) unless
 * somebody is still to complete it. `maxInner` is the largest inner packet in octets.
 */
export function clampMss(bytes: Uint8Array, view: IpPacketView, packetEnd: number, maxInner: number, checksumIsPartial: boolean): void {
  if (view.protocol !== IpProtocol.TCP || view.sourcePort === -1) return;
  const at = view.transportOffset;
  // Nearly every packet is no SYN. A flag behind the packet's end is octets of the arena, and harmless: its length is looked at next.
  if ((bytes[at + Tcp.flags]! & TcpFlag.SYN) === 0) return;
  const headerOctets = tcpHeaderOctets(bytes, view, packetEnd);
  if (headerOctets <= Tcp.options) return;
  const limit = maxInner - (view.family === 4 ? 40 : 60);
  for (let here = at + Tcp.options; here < at + headerOctets; ) {
    const kind = bytes[here]!;
    if (kind === 0) return;
    if (kind === 1) {
      here++;
      continue;
    }
    const length = here + 1 < at + headerOctets ? bytes[here + 1]! : 0;
    if (length < 2 || here + length > at + headerOctets) return;
    if (kind === MSS_OPTION && length === 4) {
      const announced = readU16(bytes, here + 2);
      if (announced <= limit) return;
      // A sum of 16-bit words does not care where a word starts only when that is even; an odd start swaps its octets.
      const swap = (here + 2 - at) % 2 === 1;
      writeU16(bytes, here + 2, limit);
      if (!checksumIsPartial) replaceInChecksum(bytes, at + Tcp.checksum, swap ? swapped(announced) : announced, swap ? swapped(limit) : limit);
      return;
    }
    here += length;
  }
}

function replaceInChecksum(bytes: Uint8Array, at: number, before: number, after: number): void {
  const sum = (~readU16(bytes, at) & 0xffff) + (~before & 0xffff) + after;
  writeU16(bytes, at, ~folded(sum) & 0xffff);
}

function swapped(value: number): number {
  return ((value & 0xff) << 8) | (value >> 8);
}

export function folded(sum: number): number {
  let value = sum;
  while (value > 0xffff) value = (value & 0xffff) + (value >>> 16);
  return value;
}
