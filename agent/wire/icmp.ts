import { finishChecksum, internetChecksum, sumWords } from "./checksum.ts";
import { IpProtocol } from "./ip.ts";
import { readU16, readU32, writeU16, writeU32 } from "./octets.ts";

/*
 * ICMP messages that a gateway makes itself, as whole IP packets (RFC 792, RFC 1191 §4, RFC 4443 §3.2 and §4).
 * Addresses are 4 or 16 octets; both of a packet have the same length.
 */
const IPV4_HEADER = 20;
const IPV6_HEADER = 40;
const ICMP_HEADER = 8;
const UDP_HEADER = 8;
const HOP_LIMIT = 64;
const PACKET_TOO_BIG = 2;
/** Of the first octet of an IPv4 address: multicast, and what follows it, the broadcast address among it; of IPv6: multicast. */
const FIRST_MULTICAST = 224;
const LOOPBACK = 127;
const MULTICAST = 0xff;
/** RFC 1812 §4.3.2.3: an ICMPv4 error has at most 576 octets. RFC 4443 §2.4(c): an ICMPv6 error at most 1280. */
const ICMPV4_ERROR_MAXIMUM = 576;
const ICMPV6_ERROR_MAXIMUM = 1280;

/**
 * Tells the sender of the packet `original[start, end)` that it must not exceed `mtu` octets: "fragmentation needed" or
 * "packet too big", from the address `from` of the same family. Null when no error may be sent about that packet: it is itself
 * an ICMP error, a later fragment, has no source that is one host's, or went to several (RFC 1122 §3.2.2, RFC 4443 §2.4(e)); or when `from` can be no source.
 */
export function buildPacketTooBig(original: Uint8Array, start: number, end: number, from: Uint8Array, mtu: number): Uint8Array | null {
  if (end <= start) return null;
  const family = original[start]! >> 4;
  const rest = new Uint8Array(4);
  if (family === 4) writeU16(rest, 2, mtu);
  else writeU32(rest, 0, mtu);
  if (family === 4 && from.length === 4) return errorV4(original, start, end, from, 3, 4, rest);
  if (family === 6 && from.length === 16) return errorV6(original, start, end, from, PACKET_TOO_BIG, 0, rest);
  return null;
}

/**
 * Tells the sender of the packet `original[start, end)` that it is not let through, or that there is no tunnel for it (RFC 4301 §5.1.1); otherwise as
 * `buildPacketTooBig`.
 */
export function buildUnreachable(original: Uint8Array, start: number, end: number, from: Uint8Array, why: "prohibited" | "noPeer"): Uint8Array | null {
  if (end <= start) return null;
  const family = original[start]! >> 4;
  const rest = new Uint8Array(4);
  if (family === 4 && from.length === 4) return errorV4(original, start, end, from, 3, why === "prohibited" ? 13 : 1, rest);
  if (family === 6 && from.length === 16) return errorV6(original, start, end, from, 1, why === "prohibited" ? 1 : 3, rest);
  return null;
}

/** What a router says about a packet of ours that was too large to pass it on. Offsets are in the buffer that was read. */
export interface PacketTooBig {
  readonly mtu: number;
  /** Where the packet was going to, 4 or 16 octets. */
  readonly destinationAt: number;
  /** What the packet began with behind its UDP header, or behind its IP header when it was no UDP. */
  readonly payloadAt: number;
  readonly payloadEnd: number;
}

/**
 * Reads the ICMP message in `bytes[start, end)`, of IPv4 with its IP header and of IPv6 without, as raw sockets give them. Null: it is no "fragmentation
 * needed" (RFC 1191 §4) or "packet too big" (RFC 4443 §3.2), does not say the size, or quotes less than a UDP or ESP packet's first octets.
 */
export function readPacketTooBig(bytes: Uint8Array, start: number, end: number, family: 4 | 6): PacketTooBig | null {
  const icmp = family === 6 ? start : start + (bytes[start]! & 0x0f) * 4;
  const quoted = icmp + ICMP_HEADER;
  if (end < start + IPV4_HEADER || end < quoted + (family === 4 ? IPV4_HEADER : IPV6_HEADER)) return null;
  const isTooBig = family === 4 ? bytes[icmp] === 3 && bytes[icmp + 1] === 4 : bytes[icmp] === 2 && bytes[icmp + 1] === 0;
  if (!isTooBig || bytes[quoted]! >> 4 !== family) return null;
  const mtu = family === 4 ? readU16(bytes, icmp + 6) : readU32(bytes, icmp + 4);
  const transport = quoted + (family === 4 ? (bytes[quoted]! & 0x0f) * 4 : IPV6_HEADER);
  const protocol = bytes[quoted + (family === 4 ? 9 : 6)]!;
  const payloadAt = transport + (protocol === IpProtocol.UDP ? UDP_HEADER : 0);
  if (mtu === 0 || (protocol !== IpProtocol.UDP && protocol !== IpProtocol.ESP) || payloadAt + 4 > end) return null;
  return { mtu, destinationAt: quoted + (family === 4 ? 16 : 24), payloadAt, payloadEnd: end };
}

/** An echo request or reply with these 16-bit numbers; the family follows from the addresses. */
export function buildEcho(
  kind: "request" | "reply",
  source: Uint8Array,
  destination: Uint8Array,
  echo: { readonly identifier: number; readonly sequence: number; readonly data: Uint8Array },
): Uint8Array {
  const type = source.length === 4 ? (kind === "request" ? 8 : 0) : kind === "request" ? 128 : 129;
  const rest = new Uint8Array(4);
  writeU16(rest, 0, echo.identifier);
  writeU16(rest, 2, echo.sequence);
  return source.length === 4 ? packetV4(source, destination, type, 0, rest, echo.data) : packetV6(source, destination, type, 0, rest, echo.data);
}

function errorV4(original: Uint8Array, start: number, end: number, from: Uint8Array, type: number, code: number, rest: Uint8Array): Uint8Array | null {
  if (end - start < IPV4_HEADER) return null;
  const source = original.subarray(start + 12, start + 16);
  const headerLength = (original[start]! & 0x0f) * 4;
  const isLaterFragment = (readU16(original, start + 6) & 0x1fff) !== 0;
  if (isLaterFragment || !isOfOneHost(source) || original[start + 16]! >= FIRST_MULTICAST || from[0]! >= FIRST_MULTICAST) return null;
  if (original[start + 9] === IpProtocol.ICMP && isIcmpV4Error(original[start + headerLength])) return null;
  const quoted = original.subarray(start, Math.min(end, start + ICMPV4_ERROR_MAXIMUM - IPV4_HEADER - ICMP_HEADER));
  return packetV4(from, source, type, code, rest, quoted);
}

/** RFC 1122 §3.2.2: not multicast, broadcast or of class E, not of this network and not a loopback one. */
function isOfOneHost(source: Uint8Array): boolean {
  return source[0]! < FIRST_MULTICAST && source[0] !== 0 && source[0] !== LOOPBACK;
}

function isIcmpV4Error(type: number | undefined): boolean {
  return type === undefined || type === 3 || type === 4 || type === 5 || type === 11 || type === 12;
}

function errorV6(original: Uint8Array, start: number, end: number, from: Uint8Array, type: number, code: number, rest: Uint8Array): Uint8Array | null {
  if (end - start < IPV6_HEADER) return null;
  const source = original.subarray(start + 8, start + 24);
  if (source[0] === MULTICAST || from[0] === MULTICAST || source.every((octet) => octet === 0)) return null;
  // RFC 4443 §2.4(e.3): only "packet too big" may be about multicast.
  if (original[start + 24] === MULTICAST && type !== PACKET_TOO_BIG) return null;
  const firstOctet = original[start + IPV6_HEADER];
  // RFC 4443 §2.1: types below 128 are errors.
  if (original[start + 6] === IpProtocol.ICMPV6 && (firstOctet === undefined || firstOctet < 128)) return null;
  const quoted = original.subarray(start, Math.min(end, start + ICMPV6_ERROR_MAXIMUM - IPV6_HEADER - ICMP_HEADER));
  return packetV6(from, source, type, code, rest, quoted);
}

function packetV4(source: Uint8Array, destination: Uint8Array, type: number, code: number, rest: Uint8Array, data: Uint8Array): Uint8Array {
  const packet = new Uint8Array(IPV4_HEADER + ICMP_HEADER + data.length);
  packet[0] = 0x45;
  writeU16(packet, 2, packet.length);
  packet[8] = HOP_LIMIT;
  packet[9] = IpProtocol.ICMP;
  packet.set(source, 12);
  packet.set(destination, 16);
  writeU16(packet, 10, internetChecksum(packet, 0, IPV4_HEADER));
  writeIcmp(packet, IPV4_HEADER, type, code, rest, data);
  writeU16(packet, IPV4_HEADER + 2, internetChecksum(packet, IPV4_HEADER, packet.length));
  return packet;
}

function packetV6(source: Uint8Array, destination: Uint8Array, type: number, code: number, rest: Uint8Array, data: Uint8Array): Uint8Array {
  const packet = new Uint8Array(IPV6_HEADER + ICMP_HEADER + data.length);
  packet[0] = 0x60;
  writeU16(packet, 4, ICMP_HEADER + data.length);
  packet[6] = IpProtocol.ICMPV6;
  packet[7] = HOP_LIMIT;
  packet.set(source, 8);
  packet.set(destination, 24);
  writeIcmp(packet, IPV6_HEADER, type, code, rest, data);
  // RFC 8200 §8.1: the pseudo-header is both addresses, the length and the next header.
  const pseudo = sumWords(packet, 8, IPV6_HEADER, ICMP_HEADER + data.length + IpProtocol.ICMPV6);
  writeU16(packet, IPV6_HEADER + 2, finishChecksum(sumWords(packet, IPV6_HEADER, packet.length, pseudo)));
  return packet;
}

function writeIcmp(packet: Uint8Array, at: number, type: number, code: number, rest: Uint8Array, data: Uint8Array): void {
  packet[at] = type;
  packet[at + 1] = code;
  packet.set(rest, at + 4);
  packet.set(data, at + ICMP_HEADER);
}
