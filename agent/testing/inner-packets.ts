/*
 * Packets for tests of the data plane, built and checked octet by octet: slow on purpose, so that they share nothing with what they test.
 */
export interface TcpPacket {
  readonly family: 4 | 6;
  /** Of 4 or 16 octets. */
  readonly source: Uint8Array;
  readonly destination: Uint8Array;
  readonly sourcePort: number;
  readonly destinationPort: number;
  readonly sequence: number;
  readonly flags: number;
  /** A multiple of 4, at most 40. */
  readonly options: Uint8Array;
  readonly payload: Uint8Array;
  readonly identification?: number;
  /** IPv4's TOS or IPv6's traffic class; 0 unless told. */
  readonly trafficClass?: number;
  /** IPv4 only: a multiple of 4. */
  readonly ipOptions?: Uint8Array;
}

/** The whole IP packet with right checksums. */
export function buildTcp(packet: TcpPacket): Uint8Array {
  const tcpOctets = 20 + packet.options.length;
  const segment = new Uint8Array(tcpOctets + packet.payload.length);
  const view = new DataView(segment.buffer);
  view.setUint16(0, packet.sourcePort);
  view.setUint16(2, packet.destinationPort);
  view.setUint32(4, packet.sequence);
  view.setUint32(8, 0x01020304);
  segment[12] = (tcpOctets / 4) << 4;
  segment[13] = packet.flags;
  view.setUint16(14, 0x7210);
  segment.set(packet.options, 20);
  segment.set(packet.payload, tcpOctets);
  return withIpHeader(packet, TCP, segment, 16);
}

/** The whole IP packet with right checksums. */
export function buildDatagram(packet: Omit<TcpPacket, "sequence" | "flags" | "options">): Uint8Array {
  const datagram = new Uint8Array(8 + packet.payload.length);
  const view = new DataView(datagram.buffer);
  view.setUint16(0, packet.sourcePort);
  view.setUint16(2, packet.destinationPort);
  view.setUint16(4, datagram.length);
  datagram.set(packet.payload, 8);
  return withIpHeader(packet, UDP, datagram, 6);
}

const TCP = 6;
const UDP = 17;

/** `checksumAt`: of the field in the transport header. */
function withIpHeader(
  packet: Pick<TcpPacket, "family" | "source" | "destination" | "identification" | "trafficClass" | "ipOptions">,
  protocol: number,
  transport: Uint8Array,
  checksumAt: number,
): Uint8Array {
  const ipOctets = packet.family === 4 ? 20 + (packet.ipOptions?.length ?? 0) : 40;
  const bytes = new Uint8Array(ipOctets + transport.length);
  const view = new DataView(bytes.buffer);
  if (packet.family === 4) {
    bytes.set([0x40 | (ipOctets / 4), packet.trafficClass ?? 0, 0, 0, 0, 0, 0x40, 0, 64, protocol]);
    view.setUint16(2, bytes.length);
    view.setUint16(4, packet.identification ?? 0);
    bytes.set(packet.source, 12);
    bytes.set(packet.destination, 16);
    bytes.set(packet.ipOptions ?? [], 20);
    view.setUint16(10, naiveChecksum(bytes.subarray(0, ipOctets)));
  } else {
    bytes.set([0x60, 0, 0, 0, 0, 0, protocol, 64]);
    view.setUint16(0, 0x6000 | ((packet.trafficClass ?? 0) << 4));
    view.setUint16(4, transport.length);
    bytes.set(packet.source, 8);
    bytes.set(packet.destination, 24);
  }
  bytes.set(transport, ipOctets);
  const checksum = naiveTransportChecksum(bytes);
  // RFC 768: zero would mean none.
  view.setUint16(ipOctets + checksumAt, protocol === UDP && checksum === 0 ? 0xffff : checksum);
  return bytes;
}

/** An IPv4 packet with an empty UDP datagram, which has no checksum. Addresses are literals. */
export function buildUdp(source: string, destination: string, destinationPort: number, trafficClass = 0): Buffer {
  const bytes = Buffer.from([0x45, trafficClass, 0, 28, 0, 0, 0x40, 0, 64, 17, 0, 0, ...octets(source), ...octets(destination), 0x30, 0x39, 0, 0, 0, 8, 0, 0]);
  bytes.writeUInt16BE(destinationPort, 22);
  bytes.writeUInt16BE(naiveChecksum(bytes.subarray(0, 20)), 10);
  return bytes;
}

function octets(address: string): number[] {
  return address.split(".").map(Number);
}

/** The Internet checksum (RFC 1071) of all octets; 0 when a right checksum is among them. */
export function naiveChecksum(bytes: Uint8Array): number {
  let sum = 0;
  for (const [index, octet] of bytes.entries()) sum += index % 2 === 0 ? octet * 256 : octet;
  return ~(fold(sum) & 0xffff) & 0xffff;
}

/** What the checksum over pseudo-header and transport part comes to: 0 when the one in the packet is right. */
export function naiveTransportChecksum(packet: Uint8Array): number {
  const isV4 = packet[0]! >> 4 === 4;
  const at = headerOctets(packet);
  const addresses = isV4 ? packet.subarray(12, 20) : packet.subarray(8, 40);
  const octets = packet.length - at;
  const pseudo = [...addresses, (octets >> 24) & 255, (octets >> 16) & 255, (octets >> 8) & 255, octets & 255, 0, 0, 0, packet[isV4 ? 9 : 6]!];
  return naiveChecksum(Uint8Array.from([...pseudo, ...packet.subarray(at)]));
}

/** Octets of the IP header (IPv6 without extension headers). */
export function headerOctets(packet: Uint8Array): number {
  return packet[0]! >> 4 === 4 ? (packet[0]! & 15) * 4 : 40;
}

function fold(sum: number): number {
  let value = sum;
  while (value > 0xffff) value = (value % 0x10000) + Math.floor(value / 0x10000);
  return value;
}
