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
export function segmentTcp(arena: Arena, start: number, view: IpPacketView, segmentOctets: number, place: Place, done: Done): boolean {
  const tcpOctets = view.protocol === IpProtocol.TCP && !view.isFragment ? tcpHeaderOctets(arena.bytes, view, start + view.totalLength) : 0;
  return tcpOctets !== 0 && cut(arena, start, view, { headerOctets: tcpOctets, segmentOctets }, mendTcp, place, done);
}

/** As `segmentTcp`, for datagrams that a sender handed over as one (UDP_SEGMENT, what a NIC with USO does). */
export function segmentUdp(arena: Arena, start: number, view: IpPacketView, segmentOctets: number, place: Place, done: Done): boolean {
  const isWhole = view.protocol === IpProtocol.UDP && !view.isFragment && view.transportOffset + UDP_HEADER_OCTETS <= start + view.totalLength;
  return isWhole && cut(arena, start, view, { headerOctets: UDP_HEADER_OCTETS, segmentOctets }, mendUdp, place, done);
}

export const UDP_HEADER_OCTETS = 8;
const UDP_LENGTH = 4;
const UDP_CHECKSUM = 6;

type Place = (octets: number) => number;
type Done = (at: number, octets: number) => boolean;
type Mend = (arena: Arena, piece: Piece) => void;

/** `headerOctets`: of the transport header. */
function cut(
  arena: Arena,
  start: number,
  view: IpPacketView,
  { headerOctets, segmentOctets }: { readonly headerOctets: number; readonly segmentOctets: number },
  mend: Mend,
  place: Place,
  done: Done,
): boolean {
  if (segmentOctets === 0) return false;
  const { bytes } = arena;
  const payloadAt = view.transportOffset + headerOctets;
  const allHeaders = payloadAt - start;
  const payloadOctets = start + view.totalLength - payloadAt;
  for (let offset = 0, index = 0; offset < payloadOctets || index === 0; offset += segmentOctets, index++) {
    const size = Math.min(segmentOctets, payloadOctets - offset);
    const at = place(allHeaders + size);
    bytes.copyWithin(at, start, payloadAt);
    bytes.copyWithin(at + allHeaders, payloadAt + offset, payloadAt + offset + size);
    const piece = { offset, index, octets: allHeaders + size, isLast: offset + size >= payloadOctets };
    moveView(view, at - start);
    mendIp(arena, at, piece);
    mend(arena, piece);
    if (!done(at, allHeaders + size)) return true;
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

function moveView(view: IpPacketView, shift: number): void {
  pieceView.family = view.family;
  pieceView.sourceOffset = view.sourceOffset + shift;
  pieceView.destinationOffset = view.destinationOffset + shift;
  pieceView.transportOffset = view.transportOffset + shift;
}

function mendIp(arena: Arena, at: number, piece: Piece): void {
  const { bytes } = arena;
  pieceView.totalLength = piece.octets;
  if (pieceView.family === 4) {
    writeU16(bytes, at + 2, piece.octets);
    writeU16(bytes, at + 4, (readU16(bytes, at + 4) + piece.index) & 0xffff);
    writeIpv4Checksum(arena, at, pieceView.transportOffset);
  } else {
    writeU16(bytes, at + 4, piece.octets - 40);
  }
}

function mendTcp(arena: Arena, piece: Piece): void {
  const { bytes } = arena;
  const tcp = pieceView.transportOffset;
  writeU32(bytes, tcp + Tcp.sequence, (readU32(bytes, tcp + Tcp.sequence) + piece.offset) >>> 0);
  let flags = bytes[tcp + Tcp.flags]!;
  if (!piece.isLast) flags &= ~(TcpFlag.FIN | TcpFlag.PSH);
  // RFC 3168 §6.1.2: CWR answers once.
  if (piece.index > 0) flags &= ~TcpFlag.CWR;
  bytes[tcp + Tcp.flags] = flags;
  writeTransportChecksum(arena, pieceView, IpProtocol.TCP, tcp, endOfPiece(piece), Tcp.checksum);
}

function mendUdp(arena: Arena, piece: Piece): void {
  const udp = pieceView.transportOffset;
  const end = endOfPiece(piece);
  writeU16(arena.bytes, udp + UDP_LENGTH, end - udp);
  writeTransportChecksum(arena, pieceView, IpProtocol.UDP, udp, end, UDP_CHECKSUM);
}

/** The IP header begins 12 (IPv4) or 8 (IPv6) octets before the source address. */
function endOfPiece(piece: Piece): number {
  return pieceView.sourceOffset - (pieceView.family === 4 ? 12 : 8) + piece.octets;
}
