import type { UdpEndpoint } from "../../ipsec/security-association.ts";
import { formatAddress, parseAddress } from "../../wire/address.ts";
import { Arena } from "./arena.ts";
import { Errno, errno, libc } from "./native.ts";
import { spreadBySpi } from "./packet-filter.ts";
import { withScratch } from "./scratch.ts";

/*
 * UDP sockets of the NAT-T port: one for each family, on every address. IP_PKTINFO says where a datagram was sent to and chooses the
 * source of one that is sent; UDP_SEGMENT and UDP_GRO move many datagrams in one call (udp(7), ip(7), Linux 5.0).
 */
export type Family = 4 | 6;

export const SOL_UDP = 17;
export const UDP_SEGMENT = 103;
export const UDP_GRO = 104;
const IP_TOS = 1;
const IP_RECVTOS = 13;
const IPV6_RECVTCLASS = 66;
const IPV6_TCLASS = 67;
export const SOCKADDR_OCTETS = 28;

export const AF_INET = 2;
export const AF_INET6 = 10;
const SOCK_DGRAM_NONBLOCK_CLOEXEC = 2 | 0o4000 | 0o2000000;
const SOL_SOCKET = 1;
const SO_REUSEPORT = 15;
const SO_SNDBUF = 7;
const SO_RCVBUF = 8;
const SO_SNDBUFFORCE = 32;
const SO_RCVBUFFORCE = 33;
const BUFFER_OCTETS = 7 << 20;
const IP_MTU_DISCOVER = 10;
const IP_PKTINFO = 8;
const IPPROTO_IPV6 = 41;
const IPV6_MTU_DISCOVER = 23;
const IPV6_V6ONLY = 26;
const IPV6_RECVPKTINFO = 49;
const IPV6_PKTINFO = 50;
/** Never "don't fragment", and packets in the clear that anyone can send about the path are not believed (ip(7)); IPv6 has the same under the same number (linux/in6.h). */
const PMTUDISC_OMIT = 5;
const IPV6_PMTUDISC_DONT = 0;
const MSGHDR_OCTETS = 56;

export interface UdpSocketOptions {
  /** Bound to this address only. */
  readonly address?: string;
  /** Without UDP_GRO: each datagram by itself, as the kernel's ESP must have them. */
  readonly single?: boolean;
  /** Others of this user may be bound to the same port. */
  readonly shared?: boolean;
}

/** Bound to every address of the family; null when the machine has no such family. @throws Error with a sentence when the port is taken. */
export function openUdpSocket(family: Family, port: number, options: UdpSocketOptions = {}): number | null {
  const fd: number = libc.socket(family === 4 ? AF_INET : AF_INET6, SOCK_DGRAM_NONBLOCK_CLOEXEC, 0);
  if (fd < 0) {
    if (family === 6) return null;
    throw new Error(`a UDP socket cannot be made (errno ${errno()})`);
  }
  setPacketOptions(fd, family);
  if (options.single !== true) setOption(fd, SOL_UDP, UDP_GRO, 1);
  if (options.shared === true) setOption(fd, SOL_SOCKET, SO_REUSEPORT, 1);
  if (family === 6) setOption(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
  const code = bind(fd, { address: options.address ?? (family === 4 ? "0.0.0.0" : "::"), port });
  if (code !== 0) {
    libc.close(fd);
    if (family === 6 && code !== Errno.EADDRINUSE && code !== Errno.EACCES) return null;
    if (code === Errno.EADDRINUSE) throw new Error(`UDP port ${port} is in use by another program (another IPsec daemon?)`);
    if (code === Errno.EACCES) throw new Error(`UDP port ${port} may not be used: the gateway must run as root or with CAP_NET_BIND_SERVICE`);
    throw new Error(`UDP port ${port} cannot be used (errno ${code})`);
  }
  return fd;
}

/**
 * A socket of the port for each of several workers: the kernel gives each packet to the one that its SPI says, what is not ESP to the first. Null and
 * @throws as `openUdpSocket`.
 */
export function openUdpSockets(family: Family, port: number, workers: number): number[] | null {
  // Alone, so that a port that another program has is refused: to sockets that share theirs the kernel would give it.
  const alone = openUdpSocket(family, port);
  if (alone === null || workers === 1) return alone === null ? null : [alone];
  libc.close(alone);
  const fds: number[] = [];
  try {
    for (let worker = 0; worker < workers; worker++) {
      const fd = openUdpSocket(family, port, { shared: true });
      if (fd === null) throw new Error(`the machine has lost IPv${family}`);
      fds.push(fd);
    }
    spreadBySpi(fds[0]!, workers);
  } catch (error) {
    for (const fd of fds) libc.close(fd);
    throw error;
  }
  return fds;
}

/** The errno, or 0. */
function bind(fd: number, endpoint: UdpEndpoint): number {
  return withScratch(SOCKADDR_OCTETS, (arena, at) => {
    const length = writeSockaddr(arena, at, endpoint);
    return libc.bind(fd, arena.address + at, length) === 0 ? 0 : errno();
  });
}

/** What sockets of packets have in common: large buffers, word of where a packet came to and of its class, and no path MTU of the kernel's. */
export function setPacketOptions(fd: number, family: Family): void {
  widenBuffers(fd);
  // The inner packet was measured against the path already; what is too large all the same is fragmented outside, not lost.
  if (family === 4) {
    setOption(fd, 0, IP_MTU_DISCOVER, PMTUDISC_OMIT);
    setOption(fd, 0, IP_PKTINFO, 1);
    setOption(fd, 0, IP_RECVTOS, 1);
  } else {
    setOption(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, PMTUDISC_OMIT);
    setOption(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
    setOption(fd, IPPROTO_IPV6, IPV6_RECVTCLASS, 1);
  }
}

/** Of an IPv6 socket: where the path cannot be searched, what routers say of it is better than nothing, since nobody but the sender may fragment (RFC 8200 §4.5). */
export function believeRouters(fd: number): void {
  setOption(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_DONT);
}

/** As far as the kernel lets us. */
export function widenBuffers(fd: number): void {
  if (!setOption(fd, SOL_SOCKET, SO_SNDBUFFORCE, BUFFER_OCTETS)) setOption(fd, SOL_SOCKET, SO_SNDBUF, BUFFER_OCTETS);
  if (!setOption(fd, SOL_SOCKET, SO_RCVBUFFORCE, BUFFER_OCTETS)) setOption(fd, SOL_SOCKET, SO_RCVBUF, BUFFER_OCTETS);
}

/** False when the kernel refuses it. */
export function setOption(fd: number, level: number, name: number, value: number): boolean {
  return withScratch(4, (arena, at) => {
    arena.view.setInt32(at, value, true);
    return libc.setsockopt(fd, level, name, arena.address + at, 4) === 0;
  });
}

/** False when the kernel does not take it; `errno` says why. */
export function setSocketOption(fd: number, level: number, name: number, value: Uint8Array): boolean {
  return withScratch(value.length, (arena, at) => {
    arena.bytes.set(value, at);
    return libc.setsockopt(fd, level, name, arena.address + at, value.length) === 0;
  });
}

/** sockaddr_in or sockaddr_in6; returns its length. */
export function writeSockaddr(arena: Arena, at: number, endpoint: UdpEndpoint): number {
  const address = parseAddress(endpoint.address);
  if (address === null) throw new Error(`"${endpoint.address}" is not an address`);
  arena.bytes.fill(0, at, at + SOCKADDR_OCTETS);
  arena.view.setUint16(at, address.length === 4 ? AF_INET : AF_INET6, true);
  arena.view.setUint16(at + 2, endpoint.port);
  arena.bytes.set(address, at + (address.length === 4 ? 4 : 8));
  return address.length === 4 ? 16 : SOCKADDR_OCTETS;
}

export function readSockaddr(arena: Arena, at: number): UdpEndpoint {
  const isV4 = arena.view.getUint16(at, true) === AF_INET;
  const start = at + (isV4 ? 4 : 8);
  return { address: formatAddress(arena.bytes.slice(start, start + (isV4 ? 4 : 16))), port: arena.view.getUint16(at + 2) };
}

/** Room for the packet information, a segment size and a traffic class. */
export const CONTROL_OCTETS = 96;

/**
 * Control messages that choose the source address, when `segmentOctets` is not 0 cut the payload into datagrams of that size, and give the
 * IP header its TOS or traffic class. Returns the length for msg_controllen.
 */
export function writeControl(arena: Arena, at: number, source: Uint8Array, segmentOctets: number, trafficClass: number): number {
  const { view, bytes } = arena;
  const isV4 = source.length === 4;
  const infoOctets = isV4 ? 12 : 20;
  arena.writeSize(at, 16 + infoOctets);
  view.setInt32(at + 8, isV4 ? 0 : IPPROTO_IPV6, true);
  view.setInt32(at + 12, isV4 ? IP_PKTINFO : IPV6_PKTINFO, true);
  // in_pktinfo: interface, source, destination; in6_pktinfo: source, interface.
  const sourceAt = at + 16 + (isV4 ? 4 : 0);
  for (let i = 0; i < source.length; i++) bytes[sourceAt + i] = source[i]!;
  if (isV4) view.setInt32(at + 16, 0);
  view.setInt32(sourceAt + source.length, 0);
  let next = at + 16 + (isV4 ? 16 : 24);
  if (segmentOctets !== 0) {
    arena.writeSize(next, 18);
    view.setInt32(next + 8, SOL_UDP, true);
    view.setInt32(next + 12, UDP_SEGMENT, true);
    view.setUint16(next + 16, segmentOctets, true);
    next += 24;
  }
  if (trafficClass !== 0) {
    arena.writeSize(next, 20);
    view.setInt32(next + 8, isV4 ? 0 : IPPROTO_IPV6, true);
    view.setInt32(next + 12, isV4 ? IP_TOS : IPV6_TCLASS, true);
    view.setInt32(next + 16, trafficClass, true);
    next += 24;
  }
  return next - at;
}

export interface ReceivedControl {
  /** 0: one datagram. */
  segmentOctets: number;
  /** Offset of the destination address (4 or 16 octets) in the arena; 0: not told. */
  destinationAt: number;
  /** TOS or traffic class of the outer header; 0 when not told. With UDP_GRO that of every datagram: the kernel joins only those alike. */
  trafficClass: number;
}

/** Reads the control messages of a received message into `into`. */
export function readControl(arena: Arena, at: number, length: number, into: ReceivedControl): void {
  const { view } = arena;
  into.segmentOctets = 0;
  into.destinationAt = 0;
  into.trafficClass = 0;
  for (let here = at; here + 16 <= at + length; ) {
    const octets = view.getUint32(here, true);
    if (octets < 16) return;
    const level = view.getInt32(here + 8, true);
    const type = view.getInt32(here + 12, true);
    if (level === SOL_UDP && type === UDP_GRO) into.segmentOctets = view.getInt32(here + 16, true);
    else if (level === 0 && type === IP_PKTINFO) into.destinationAt = here + 24;
    else if ((level === 0 && type === IP_TOS) || (level === IPPROTO_IPV6 && type === IPV6_TCLASS)) into.trafficClass = view.getUint8(here + 16);
    else if (level === IPPROTO_IPV6 && type === IPV6_PKTINFO) into.destinationAt = here + 16;
    here += (octets + 7) & ~7;
  }
}

/** msghdr (socket.h): name, iovec, control. `iovAt` has `iovCount` entries. */
export function writeMessageHeader(
  arena: Arena,
  at: number,
  name: { readonly at: number; readonly octets: number },
  iov: { readonly at: number; readonly count: number },
  control: { readonly at: number; readonly octets: number },
): void {
  arena.writePointer(at, name.at);
  arena.writeSize(at + 8, name.octets);
  arena.writePointer(at + 16, iov.at);
  arena.writeSize(at + 24, iov.count);
  arena.writePointer(at + 32, control.at);
  arena.writeSize(at + 40, control.octets);
  arena.writeSize(at + 48, 0);
}

export function writeIov(arena: Arena, at: number, dataAt: number, octets: number): void {
  arena.writePointer(at, dataAt);
  arena.writeSize(at + 8, octets);
}

/** Sends single datagrams from a NAT-T socket: IKE messages and keepalives, from the main thread. */
export class DatagramSender {
  readonly #arena = new Arena(1 << 17);
  readonly #header = this.#arena.allocate(MSGHDR_OCTETS);
  readonly #name = this.#arena.allocate(SOCKADDR_OCTETS);
  readonly #iov = this.#arena.allocate(16);
  readonly #control = this.#arena.allocate(CONTROL_OCTETS);
  readonly #data = this.#arena.allocate(65_536);

  /** False when the kernel did not take it; IKE retransmits, so nothing more is done about it. */
  send(fd: number, source: string, remote: UdpEndpoint, datagram: Uint8Array): boolean {
    const arena = this.#arena;
    const from = parseAddress(source);
    if (from === null || datagram.length > 65_507) return false;
    arena.bytes.set(datagram, this.#data);
    writeIov(arena, this.#iov, this.#data, datagram.length);
    writeMessageHeader(
      arena,
      this.#header,
      { at: this.#name, octets: writeSockaddr(arena, this.#name, remote) },
      { at: this.#iov, count: 1 },
      { at: this.#control, octets: writeControl(arena, this.#control, from, 0, 0) },
    );
    return Number(libc.sendmsg(fd, arena.address + this.#header, 0)) === datagram.length;
  }

  /** It sends no more. */
  close(): void {
    this.#arena.release();
  }
}
