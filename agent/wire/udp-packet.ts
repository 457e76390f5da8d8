import { finishChecksum, sumWords } from "./checksum.ts";
import { IpProtocol } from "./ip.ts";
import { writeU16 } from "./octets.ts";

/** Where a datagram comes from and goes to; addresses are 4 or 16 octets, both of the same length. */
export interface UdpAddresses {
  readonly source: Uint8Array;
  readonly sourcePort: number;
  readonly destination: Uint8Array;
  readonly destinationPort: number;
}

const UDP_OCTETS = 8;
const HOP_LIMIT = 64;
const DONT_FRAGMENT = 0x4000;

/** A whole IP packet that no router may fragment (RFC 791, RFC 8200, RFC 768). The IPv4 header's checksum and id are left to the kernel. */
export function buildUnfragmentedUdp({ source, sourcePort, destination, destinationPort }: UdpAddresses, payload: Uint8Array): Uint8Array {
  const isV4 = source.length === 4;
  const header = isV4 ? 20 : 40;
  const udpOctets = UDP_OCTETS + payload.length;
  const packet = new Uint8Array(header + udpOctets);
  if (isV4) {
    packet[0] = 0x45;
    writeU16(packet, 2, packet.length);
    writeU16(packet, 6, DONT_FRAGMENT);
    packet[8] = HOP_LIMIT;
    packet[9] = IpProtocol.UDP;
    packet.set(source, 12);
    packet.set(destination, 16);
  } else {
    packet[0] = 0x60;
    writeU16(packet, 4, udpOctets);
    packet[6] = IpProtocol.UDP;
    packet[7] = HOP_LIMIT;
    packet.set(source, 8);
    packet.set(destination, 24);
  }
  writeU16(packet, header, sourcePort);
  writeU16(packet, header + 2, destinationPort);
  writeU16(packet, header + 4, udpOctets);
  packet.set(payload, header + UDP_OCTETS);
  const addresses = sumWords(packet, isV4 ? 12 : 8, header, udpOctets + IpProtocol.UDP);
  const checksum = finishChecksum(sumWords(packet, header, packet.length, addresses));
  // RFC 768: zero would say that there is none.
  writeU16(packet, header + 6, checksum === 0 ? 0xffff : checksum);
  return packet;
}
