import { randomInt } from "node:crypto";
import type { UdpEndpoint } from "../../ipsec/security-association.ts";
import { parseAddress } from "../../wire/address.ts";
import { AH, IPV6_HEADER } from "../../wire/ah.ts";
import { IpProtocol } from "../../wire/ip.ts";
import { writeU16, writeU32 } from "../../wire/octets.ts";
import { Arena } from "../ffi/arena.ts";
import { SOCKADDR_OCTETS, writeSockaddr } from "../ffi/udp-socket.ts";
import type { TransmitSa } from "./outbound-sa.ts";
import { HEADED_IPV6 } from "./outer-sockets.ts";
import { folded } from "./tcp-header.ts";
import type { TransmitBatch } from "./transmit-batch.ts";

/*
 * Outer packets that are cut here, since the kernel would not, or not by what the path takes. Over IPv4 those of AH, whose header the kernel has not made; ESP is cut by the kernel
 * and by routers. Over IPv6 only who sends may do it (RFC 8200 §4.5), and what the path takes is known to IKE's probes alone: so every packet that is too large for the path and
 * could not be cut before goes this way, IPv6 of up to 1,280 octets above all. Nothing is allocated for a packet.
 */
const IPV4_HEADER = 20;
const FRAGMENT_HEADER = 8;
const UDP_HEADER = 8;
const FRAGMENT = 44;
const HOP_LIMIT = 64;
/** Fragments carry a multiple of 8 octets (RFC 791 §3.1, RFC 8200 §4.5). */
const FRAGMENT_UNIT = 8;
const IPV4_MORE = 0x2000;
const IPV6_MORE = 1;
/** Every IPv6 path carries this (RFC 8200 §5), so fragments that have no more pass wherever the packet would not have. */
const IPV6_LEAST_MTU = 1_280;
const HEADER_ROOM = 64;
/** The most that an SA takes of its arena for this. */
export const MOST_FRAGMENTS_OCTETS = Arena.sizeOf(HEADER_ROOM) + Arena.sizeOf(SOCKADDR_OCTETS);

/** How an SA over IPv6 sends what its path does not take whole: with the header in front, by a raw socket. */
export interface OuterFragments {
  /** What the batch takes fragments under: only where it leaves and where it is counted means anything. */
  readonly sa: TransmitSa;
  /** In the arena, what all have in common: IPv6 header, Fragment header, and the UDP header where there is one. */
  readonly headerAt: number;
  readonly headerOctets: number;
  /** Counted from a random one, since several workers and SAs send to the same peer (RFC 7739 §5). */
  identification: number;
}

export function makeOuterFragments(arena: Arena, sa: TransmitSa, localPort: number): OuterFragments {
  const headerAt = arena.allocate(HEADER_ROOM);
  const { bytes } = arena;
  bytes[headerAt] = 0x60;
  bytes[headerAt + 6] = FRAGMENT;
  bytes[headerAt + 7] = HOP_LIMIT;
  bytes.set(sa.source, headerAt + 8);
  bytes[headerAt + IPV6_HEADER] = sa.isEncapsulated ? IpProtocol.UDP : sa.ah === null ? IpProtocol.ESP : AH;
  if (sa.isEncapsulated) writeU16(bytes, udpOf(headerAt), localPort);
  return {
    sa: { ...sa, socket: HEADED_IPV6, isEncapsulated: false, destinationAt: arena.allocate(SOCKADDR_OCTETS), fragments: null },
    headerAt,
    headerOctets: IPV6_HEADER + FRAGMENT_HEADER + (sa.isEncapsulated ? UDP_HEADER : 0),
    identification: randomInt(2 ** 32),
  };
}

/** The peer is there now: an IPv6 address. */
export function aimOuterFragments(arena: Arena, { sa, headerAt, headerOctets }: OuterFragments, remote: UdpEndpoint): void {
  const address = parseAddress(remote.address);
  if (address?.length !== 16) throw new Error(`"${remote.address}" is not an IPv6 address`);
  arena.bytes.set(address, headerAt + 24);
  if (headerOctets > IPV6_HEADER + FRAGMENT_HEADER) writeU16(arena.bytes, udpOf(headerAt) + 2, remote.port);
  // The port in the address of a raw IPv6 socket must be 0.
  sa.destinationOctets = writeSockaddr(arena, sa.destinationAt, { address: remote.address, port: 0 });
}

export function closeOuterFragments(arena: Arena, { sa, headerAt }: OuterFragments): void {
  arena.free(headerAt, HEADER_ROOM);
  arena.free(sa.destinationAt, SOCKADDR_OCTETS);
}

/** Whether a packet with this inner one is cut behind its seal. */
export function isCutOutside(sa: TransmitSa, innerOctets: number): boolean {
  return innerOctets > sa.maxInner && (sa.fragments !== null || sa.ah?.family === 4);
}

/** Octets that must be free in front of a sealed packet that is cut. */
export function roomBefore({ fragments }: TransmitSa): number {
  return fragments === null ? 0 : fragments.headerOctets;
}

/** Room for the headers of all fragments but the first of a packet of so many octets. */
export function roomForHeaders(sa: TransmitSa, octets: number): number {
  const [headers, largest] = sa.fragments === null ? [IPV4_HEADER, pathMtuOfAh(sa)] : [IPV6_HEADER + FRAGMENT_HEADER, IPV6_LEAST_MTU];
  return headers * Math.ceil(octets / fragmentData(largest, headers));
}

/**
 * Cuts the sealed packet `[start, end)`, which is all that the batch has room for and not in it yet, into fragments, each with its headers in front, one behind the other, and commits
 * each. AH over IPv4 begins with its IPv4 header (RFC 4302 §3.3.4: after AH).
 */
export function commitFragments(arena: Arena, batch: TransmitBatch, sa: TransmitSa, start: number, end: number, trafficClass: number): void {
  const { fragments } = sa;
  if (fragments === null) return cut(arena, batch, sa, start, end, IPV4_HEADER, pathMtuOfAh(sa), trafficClass);
  // What is only noted until then is sealed: the checksum and the pieces are of the sealed packet.
  batch.flush();
  const first = start - fragments.headerOctets;
  writeHeaders(arena, fragments, first, end, trafficClass);
  cut(arena, batch, fragments.sa, first, end, IPV6_HEADER + FRAGMENT_HEADER, IPV6_LEAST_MTU, trafficClass);
}

function writeHeaders(arena: Arena, fragments: OuterFragments, first: number, end: number, trafficClass: number): void {
  const { bytes } = arena;
  const { headerAt, headerOctets } = fragments;
  bytes.copyWithin(first, headerAt, headerAt + headerOctets);
  bytes[first] = 0x60 | (trafficClass >> 4);
  bytes[first + 1] = (trafficClass & 15) << 4;
  fragments.identification = (fragments.identification + 1) >>> 0;
  writeU32(bytes, first + IPV6_HEADER + 4, fragments.identification);
  if (headerOctets === IPV6_HEADER + FRAGMENT_HEADER) return;
  const udp = udpOf(first);
  const octets = end - udp;
  writeU16(bytes, udp + 4, octets);
  // RFC 8200 §8.1: over IPv6 there must be one, and zero would say that there is none.
  const checksum = ~folded(arena.sum(first + 8, 32) + octets + IpProtocol.UDP + arena.sum(udp, octets)) & 0xffff;
  writeU16(bytes, udp + 6, checksum === 0 ? 0xffff : checksum);
}

/** The packet begins with the headers that each of its fragments has. */
function cut(arena: Arena, batch: TransmitBatch, sa: TransmitSa, start: number, end: number, headers: number, largest: number, trafficClass: number): void {
  const { bytes } = arena;
  const room = fragmentData(largest, headers);
  let offset = 0;
  for (let at = start, last = end; ; ) {
    const isLast = last - at <= largest;
    const octets = isLast ? last - at : headers + room;
    if (!isLast) {
      // The next one's headers go where its data were.
      bytes.copyWithin(at + octets + headers, at + octets, last);
      bytes.copyWithin(at + octets, at, at + headers);
      last += headers;
    }
    if (headers === IPV4_HEADER) {
      writeU16(bytes, at + 2, octets);
      writeU16(bytes, at + 6, (isLast ? 0 : IPV4_MORE) | (offset / FRAGMENT_UNIT));
    } else {
      writeU16(bytes, at + 4, octets - IPV6_HEADER);
      writeU16(bytes, at + IPV6_HEADER + 2, offset | (isLast ? 0 : IPV6_MORE));
    }
    batch.commit(sa, octets, trafficClass);
    if (isLast) return;
    offset += room;
    at += octets;
  }
}

function fragmentData(largest: number, headers: number): number {
  return (largest - headers) & ~(FRAGMENT_UNIT - 1);
}

function pathMtuOfAh({ maxInner, ah }: TransmitSa): number {
  return maxInner + (ah?.frontOctets ?? 0);
}

function udpOf(first: number): number {
  return first + IPV6_HEADER + FRAGMENT_HEADER;
}
