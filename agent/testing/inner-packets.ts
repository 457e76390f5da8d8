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
  const ipOctets = packet.family === 4 ? 20 + (packet.ipOptions?.length ?? 0) : 40;
  const tcpOctets = 20 + packet.options.length;
  const bytes = new Uint8Array(ipOctets + tcpOctets + packet.payload.length);
  const view = new DataView(bytes.buffer);
  if (packet.family === 4) {
    bytes.set([0x40 | (ipOctets / 4), 0, 0, 0, 0, 0, 0x40, 0, 64, 6]);
    bytes[1] = packet.trafficClass ?? 0;
    view.setUint16(2, bytes.length);
    view.setUint16(4, packet.identification ?? 0);
    bytes.set(packet.source, 12);
    bytes.set(packet.destination, 16);
    bytes.set(packet.ipOptions ?? [], 20);
    view.setUint16(10, naiveChecksum(bytes.subarray(0, ipOctets)));
  } else {
    bytes.set([0x60, 0, 0, 0, 0, 0, 6, 64]);
    view.setUint16(0, 0x6000 | ((packet.trafficClass ?? 0) << 4));
    view.setUint16(4, bytes.length - 40);
    bytes.set(packet.source, 8);
    bytes.set(packet.destination, 24);
  }
  view.setUint16(ipOctets, packet.sourcePort);
  view.setUint16(ipOctets + 2, packet.destinationPort);
  view.setUint32(ipOctets + 4, packet.sequence);
  view.setUint32(ipOctets + 8, 0x01020304);
  bytes[ipOctets + 12] = (tcpOctets / 4) << 4;
  bytes[ipOctets + 13] = packet.flags;
  view.setUint16(ipOctets + 14, 0x7210);
  bytes.set(packet.options, ipOctets + 20);
  bytes.set(packet.payload, ipOctets + tcpOctets);
  view.setUint16(ipOctets + 16, naiveTransportChecksum(bytes));
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
