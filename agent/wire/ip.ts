import { readU16 } from "./octets.ts";

/*
 * IPv4 (RFC 791 §3.1) and IPv6 (RFC 8200 §3) as the data plane needs them: where the addresses and the transport header are,
 * which ports, how long, may it be fragmented. A reader fills a view that its owner reuses: no allocation per packet.
 */
export const IpProtocol = { ICMP: 1, TCP: 6, UDP: 17, ESP: 50, ICMPV6: 58, SCTP: 132 } as const;

export interface IpPacketView {
  family: 4 | 6;
  /** Octets of the whole packet by its own header; never more than the buffer had. */
  totalLength: number;
  /** Offsets in the buffer, of 4 or 16 octets each. */
  sourceOffset: number;
  destinationOffset: number;
  /** The transport protocol, behind IPv6 extension headers. */
  protocol: number;
  /** Offset of the transport header; of the payload of a later fragment. */
  transportOffset: number;
  /**
   * -1: there are none, because the protocol has no ports or this is not the first fragment. For ICMP both are the one
   * selector type·256 + code (RFC 4301 §4.4.1.1, RFC 7296 §3.13.1).
   */
  sourcePort: number;
  destinationPort: number;
  /** IPv6 packets are never fragmented on the way. */
  dontFragment: boolean;
  isFragment: boolean;
}

export function makeIpPacketView(): IpPacketView {
  return {
    family: 4,
    totalLength: 0,
    sourceOffset: 0,
    destinationOffset: 0,
    protocol: 0,
    transportOffset: 0,
    sourcePort: -1,
    destinationPort: -1,
    dontFragment: false,
    isFragment: false,
  };
}

export function copyView(from: IpPacketView, to: IpPacketView): void {
  to.family = from.family;
  to.totalLength = from.totalLength;
  to.sourceOffset = from.sourceOffset;
  to.destinationOffset = from.destinationOffset;
  to.protocol = from.protocol;
  to.transportOffset = from.transportOffset;
  to.sourcePort = from.sourcePort;
  to.destinationPort = from.destinationPort;
  to.dontFragment = from.dontFragment;
  to.isFragment = from.isFragment;
}

/**
 * Reads the packet at `bytes[start, end)` into `view`. False, with `view` unspecified, when it is no whole IPv4 or IPv6 packet
 * or its lengths contradict each other. Octets behind the packet's own length are allowed (ESP's TFC padding, RFC 4303 §2.7).
 */
export function readIpPacket(bytes: Uint8Array, start: number, end: number, view: IpPacketView): boolean {
  if (end <= start) return false;
  const version = bytes[start]! >> 4;
  if (version === 4) return readIpv4(bytes, start, end, view);
  if (version === 6) return readIpv6(bytes, start, end, view);
  return false;
}

const IPV4_HEADER = 20;
const IPV6_HEADER = 40;

function readIpv4(bytes: Uint8Array, start: number, end: number, view: IpPacketView): boolean {
  if (end - start < IPV4_HEADER) return false;
  const headerLength = (bytes[start]! & 0x0f) * 4;
  const totalLength = readU16(bytes, start + 2);
  if (headerLength < IPV4_HEADER || totalLength < headerLength || totalLength > end - start) return false;
  const fragment = readU16(bytes, start + 6);
  const fragmentOffset = fragment & 0x1fff;
  view.family = 4;
  view.totalLength = totalLength;
  view.sourceOffset = start + 12;
  view.destinationOffset = start + 16;
  view.protocol = bytes[start + 9]!;
  view.transportOffset = start + headerLength;
  view.dontFragment = (fragment & 0x4000) !== 0;
  view.isFragment = (fragment & 0x3fff) !== 0;
  readPorts(bytes, start + totalLength, view, fragmentOffset === 0);
  return true;
}

function readIpv6(bytes: Uint8Array, start: number, end: number, view: IpPacketView): boolean {
  if (end - start < IPV6_HEADER) return false;
  const totalLength = IPV6_HEADER + readU16(bytes, start + 4);
  if (totalLength > end - start) return false;
  const packetEnd = start + totalLength;
  let protocol = bytes[start + 6]!;
  let at = start + IPV6_HEADER;
  let isFirst = true;
  view.isFragment = false;
  while (isFirst && isExtension(protocol)) {
    if (at + 8 > packetEnd) return false;
    const next = bytes[at]!;
    if (protocol === FRAGMENT) {
      view.isFragment = true;
      isFirst = (readU16(bytes, at + 2) & 0xfff8) === 0;
      at += 8;
    } else {
      at += (bytes[at + 1]! + 1) * 8;
    }
    if (at > packetEnd) return false;
    protocol = next;
  }
  view.family = 6;
  view.totalLength = totalLength;
  view.sourceOffset = start + 8;
  view.destinationOffset = start + 24;
  view.protocol = protocol;
  view.transportOffset = at;
  view.dontFragment = true;
  readPorts(bytes, packetEnd, view, isFirst);
  return true;
}

const HOP_BY_HOP = 0;
const ROUTING = 43;
const FRAGMENT = 44;
const DESTINATION_OPTIONS = 60;

function isExtension(protocol: number): boolean {
  return protocol === HOP_BY_HOP || protocol === ROUTING || protocol === FRAGMENT || protocol === DESTINATION_OPTIONS;
}

function readPorts(bytes: Uint8Array, packetEnd: number, view: IpPacketView, isFirst: boolean): void {
  const at = view.transportOffset;
  view.sourcePort = -1;
  view.destinationPort = -1;
  if (!isFirst || at + 4 > packetEnd) return;
  const { protocol } = view;
  if (protocol === IpProtocol.TCP || protocol === IpProtocol.UDP || protocol === IpProtocol.SCTP) {
    view.sourcePort = readU16(bytes, at);
    view.destinationPort = readU16(bytes, at + 2);
  } else if (protocol === IpProtocol.ICMP || protocol === IpProtocol.ICMPV6) {
    view.sourcePort = readU16(bytes, at);
    view.destinationPort = view.sourcePort;
  }
}
