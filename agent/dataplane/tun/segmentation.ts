import type { IpPacketView } from "../../wire/ip.ts";
import { IpProtocol } from "../../wire/ip.ts";
import { readU16, readU32, writeU16, writeU32 } from "../../wire/octets.ts";
import type { Arena } from "../ffi/arena.ts";
import { folded, Tcp, TcpFlag, tcpHeaderOctets } from "./tcp-header.ts";
import { Udp, UDP_HEADER_OCTETS } from "./udp-header.ts";

/**
 * TCP segmentation (what a NIC with TSO does): the packet at `start` with a payload longer than `segmentOctets` is cut, and each piece is
 * written whole, headers mended, where `place(octets)` says; then `done(at, octets)` is called. `view` must be of that packet, whose own headers
 * are written to. False: not a TCP packet that can be cut; `place` was not called. `done` may stop the rest by returning false.
 */
export function segmentTcp(arena: Arena, start: number, view: IpPacketView, segmentOctets: number, place: Place, done: Done): boolean {
  const tcpOctets = view.protocol === IpProtocol.TCP && !view.isFragment ? tcpHeaderOctets(arena.bytes, view, start + view.totalLength) : 0;
  return tcpOctets !== 0 && cut(arena, start, view, tcpOctets, segmentOctets, place, done);
}

/** As `segmentTcp`, for datagrams that a sender handed over as one (UDP_SEGMENT, what a NIC with USO does). */
export function segmentUdp(arena: Arena, start: number, view: IpPacketView, segmentOctets: number, place: Place, done: Done): boolean {
  const isWhole = view.protocol === IpProtocol.UDP && !view.isFragment && view.transportOffset + UDP_HEADER_OCTETS <= start + view.totalLength;
  return isWhole && cut(arena, start, view, UDP_HEADER_OCTETS, segmentOctets, place, done);
}

type Place = (octets: number) => number;
type Done = (at: number, octets: number) => boolean;

function cut(arena: Arena, start: number, view: IpPacketView, headerOctets: number, segmentOctets: number, place: Place, done: Done): boolean {
  if (segmentOctets === 0) return false;
  const { transportOffset } = view;
  const payloadAt = transportOffset + headerOctets;
  const allHeaders = payloadAt - start;
  const payloadOctets = start + view.totalLength - payloadAt;
  readHeaders(arena, start, view, headerOctets);
  for (let offset = 0, index = 0; offset < payloadOctets || index === 0; offset += segmentOctets, index++) {
    const size = Math.min(segmentOctets, payloadOctets - offset);
    const at = place(allHeaders + size);
    arena.copyAndSum(start, allHeaders, at);
    const payloadSum = arena.copyAndSum(payloadAt + offset, size, at + allHeaders);
    mendIp(arena.view, at, allHeaders + size, index);
    const transportAt = at + transportOffset - start;
    if (headers.isTcp) mendTcp(arena.view, transportAt, headerOctets + size, payloadSum, offset, index, offset + size >= payloadOctets);
    else mendUdp(arena.view, transportAt, headerOctets + size, payloadSum);
    if (!done(at, allHeaders + size)) return true;
  }
  return true;
}

/** Of the packet that is being cut, reused: what its pieces begin from, and the sums of what is the same in all of them. */
const headers = { family: 4, isTcp: true, identification: 0, sequence: 0, flags: 0, ipSum: 0, transportSum: 0 };

/** Notes what differs from piece to piece, and makes it zero where it was: the sums of the rest are then those of the headers. */
function readHeaders(arena: Arena, start: number, view: IpPacketView, headerOctets: number): void {
  const { bytes } = arena;
  const at = view.transportOffset;
  headers.family = view.family;
  headers.isTcp = view.protocol === IpProtocol.TCP;
  if (view.family === 4) {
    headers.identification = readU16(bytes, start + 4);
    writeU16(bytes, start + 2, 0);
    writeU16(bytes, start + 4, 0);
    writeU16(bytes, start + 10, 0);
    headers.ipSum = arena.sum(start, at - start);
  }
  if (headers.isTcp) {
    headers.sequence = readU32(bytes, at + Tcp.sequence);
    headers.flags = bytes[at + Tcp.flags]!;
    writeU32(bytes, at + Tcp.sequence, 0);
    bytes[at + Tcp.flags] = 0;
    writeU16(bytes, at + Tcp.checksum, 0);
  } else {
    writeU16(bytes, at + Udp.length, 0);
    writeU16(bytes, at + Udp.checksum, 0);
  }
  // The pseudo-header without its length.
  headers.transportSum = arena.sum(view.sourceOffset, view.family === 4 ? 8 : 32) + view.protocol + arena.sum(at, headerOctets);
}

function mendIp(memory: DataView, at: number, octets: number, index: number): void {
  if (headers.family === 6) return memory.setUint16(at + 4, octets - 40);
  const identification = (headers.identification + index) & 0xffff;
  memory.setUint16(at + 2, octets);
  memory.setUint16(at + 4, identification);
  memory.setUint16(at + 10, ~folded(headers.ipSum + octets + identification));
}

/** `octets`: of header and payload. */
function mendTcp(memory: DataView, at: number, octets: number, payloadSum: number, offset: number, index: number, isLast: boolean): void {
  const sequence = (headers.sequence + offset) | 0;
  let { flags } = headers;
  if (!isLast) flags &= ~(TcpFlag.FIN | TcpFlag.PSH);
  // RFC 3168 §6.1.2: CWR answers once.
  if (index > 0) flags &= ~TcpFlag.CWR;
  memory.setInt32(at + Tcp.sequence, sequence);
  memory.setUint8(at + Tcp.flags, flags);
  const sum = headers.transportSum + (sequence >>> 16) + (sequence & 0xffff) + flags + octets + payloadSum;
  memory.setUint16(at + Tcp.checksum, ~folded(sum));
}

function mendUdp(memory: DataView, at: number, octets: number, payloadSum: number): void {
  memory.setUint16(at + Udp.length, octets);
  const checksum = ~folded(headers.transportSum + 2 * octets + payloadSum) & 0xffff;
  // RFC 768: a checksum of zero means "none", so it is sent as all ones.
  memory.setUint16(at + Udp.checksum, checksum === 0 ? 0xffff : checksum);
}
