import type { IpPacketView } from "../../wire/ip.ts";
import { IpProtocol } from "../../wire/ip.ts";
import { readU16, readU32, writeU16, writeU32 } from "../../wire/octets.ts";
import type { Arena } from "../ffi/arena.ts";
import { Tcp, TcpFlag, tcpHeaderOctets, writeIpv4Checksum, writeTransportChecksum } from "./tcp-header.ts";

/**
 * TCP segmentation (what a NIC with TSO does): the packet at `start` with a payload longer than `segmentOctets` is cut, and each piece is
 * written whole, headers mended, where `place(octets)` says; then `done(at, octets)` is called. `view` must be of that packet.
 * False: not a TCP packet that can be cut; `place` was not called. `done` may stop the rest by returning false.
 */
export function segmentTcp(
  arena: Arena,
  start: number,
  view: IpPacketView,
  segmentOctets: number,
  place: (octets: number) => number,
  done: (at: number, octets: number) => boolean,
): boolean {
  const { bytes } = arena;
  const packetEnd = start + view.totalLength;
  const tcpOctets = view.protocol === IpProtocol.TCP && !view.isFragment ? tcpHeaderOctets(bytes, view, packetEnd) : 0;
  if (tcpOctets === 0 || segmentOctets === 0) return false;
  const headerOctets = view.transportOffset - start + tcpOctets;
  const payloadAt = start + headerOctets;
  const payloadOctets = packetEnd - payloadAt;
  for (let offset = 0, index = 0; offset < payloadOctets || index === 0; offset += segmentOctets, index++) {
    const size = Math.min(segmentOctets, payloadOctets - offset);
    const at = place(headerOctets + size);
    bytes.copyWithin(at, start, payloadAt);
    bytes.copyWithin(at + headerOctets, payloadAt + offset, payloadAt + offset + size);
    mendHeaders(arena, at, start, view, { offset, index, octets: headerOctets + size, isLast: offset + size >= payloadOctets });
    if (!done(at, headerOctets + size)) return true;
  }
  return true;
}

interface Piece {
  readonly offset: number;
  readonly index: number;
  readonly octets: number;
  readonly isLast: boolean;
}

/** A view of a piece, reused: its fields are those of the whole packet moved to where the piece is. */
const pieceView: IpPacketView = {
  family: 4,
  totalLength: 0,
  sourceOffset: 0,
  destinationOffset: 0,
  protocol: IpProtocol.TCP,
  transportOffset: 0,
  sourcePort: 0,
  destinationPort: 0,
  dontFragment: false,
  isFragment: false,
};

function mendHeaders(arena: Arena, at: number, start: number, view: IpPacketView, piece: Piece): void {
  const { bytes } = arena;
  const shift = at - start;
  pieceView.family = view.family;
  pieceView.sourceOffset = view.sourceOffset + shift;
  pieceView.destinationOffset = view.destinationOffset + shift;
  pieceView.transportOffset = view.transportOffset + shift;
  const tcp = pieceView.transportOffset;
  writeU32(bytes, tcp + Tcp.sequence, (readU32(bytes, tcp + Tcp.sequence) + piece.offset) >>> 0);
  let flags = bytes[tcp + Tcp.flags]!;
  if (!piece.isLast) flags &= ~(TcpFlag.FIN | TcpFlag.PSH);
  // RFC 3168 §6.1.2: CWR answers once.
  if (piece.index > 0) flags &= ~TcpFlag.CWR;
  bytes[tcp + Tcp.flags] = flags;
  if (view.family === 4) {
    writeU16(bytes, at + 2, piece.octets);
    writeU16(bytes, at + 4, (readU16(bytes, at + 4) + piece.index) & 0xffff);
    writeIpv4Checksum(arena, at, tcp);
  } else {
    writeU16(bytes, at + 4, piece.octets - 40);
  }
  writeTransportChecksum(arena, pieceView, IpProtocol.TCP, tcp, at + piece.octets, Tcp.checksum);
}
