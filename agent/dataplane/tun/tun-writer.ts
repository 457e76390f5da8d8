import { copyView, type IpPacketView, IpProtocol, makeIpPacketView } from "../../wire/ip.ts";
import { readU16, writeU16 } from "../../wire/octets.ts";
import type { Arena } from "../ffi/arena.ts";
import { Errno, errno, libc } from "../ffi/native.ts";
import { VNET_HEADER_OCTETS, Vnet } from "../ffi/tun-device.ts";
import { writeIov } from "../ffi/udp-socket.ts";
import { Counter, type CounterTable, GLOBAL_ROW } from "./counters.ts";
import { pseudoHeaderSum, Tcp, TcpFlag, tcpHeaderOctets, writeIpv4Checksum } from "./tcp-header.ts";
import { Udp, UDP_HEADER_OCTETS } from "./udp-header.ts";

const MAX_PIECES = 64;
const MAX_OCTETS = 65_535;

/**
 * Writes opened packets to the TUN device. Consecutive segments of one TCP flow, and datagrams of one UDP flow where the kernel takes such (USO), are handed over
 * as one packet with its segment size in the vnet header (what GRO does), gathered from where they lie: nothing is copied. Each packet is offered to `extend`
 * first; what that does not take is looked at and given to `write`. `flush` must be called before the packets' memory is reused.
 */
export class TunWriter {
  readonly #arena: Arena;
  readonly #fd: number;
  readonly #counters: CounterTable;
  readonly #mergesDatagrams: boolean;
  readonly #vnet: number;
  readonly #iovs: number;
  /** The first packet of the run and what the next must continue. */
  readonly #head: IpPacketView = makeIpPacketView();
  #row = GLOBAL_ROW;
  #headStart = 0;
  #isTcp = false;
  /** From a packet's start to its transport header, and to its payload. */
  #ipOctets = 0;
  #headerOctets = 0;
  #segmentOctets = 0;
  #total = 0;
  #pieces = 0;
  /** As a signed number, which V8 keeps in a word. */
  #nextSequence = 0;
  /** There is no run, or nothing may follow. */
  #closed = true;

  /** `mergesDatagrams`: the device takes datagrams that are to be cut (`Tun.takesDatagrams`). */
  constructor(arena: Arena, fd: number, counters: CounterTable, mergesDatagrams: boolean) {
    this.#arena = arena;
    this.#fd = fd;
    this.#counters = counters;
    this.#mergesDatagrams = mergesDatagrams;
    this.#vnet = arena.allocate(VNET_HEADER_OCTETS);
    this.#iovs = arena.allocate(16 * (MAX_PIECES + 1));
  }

  /**
   * Takes the packet in `[start, end)`, of this family and under the SA of `row`, if it continues the run: alike in all that its first packet was judged by
   * (addresses, protocol, ports, class, flags, options) and with a right checksum. Returns its octets; 0: it does not, and its owner has yet to look at it.
   */
  extend(start: number, end: number, family: number, row: number): number {
    const headerOctets = this.#headerOctets;
    if (this.#closed || row !== this.#row || family !== this.#head.family || end - start <= headerOctets) return 0;
    const { view: memory } = this.#arena;
    const octets = family === 4 ? memory.getUint16(start + 2) : 40 + memory.getUint16(start + 4);
    const payloadOctets = octets - headerOctets;
    if (octets > end - start || payloadOctets <= 0 || payloadOctets > this.#segmentOctets || this.#total + payloadOctets > MAX_OCTETS) return 0;
    if (this.#pieces === MAX_PIECES || !this.#continues(start, octets)) return 0;
    const transportAt = start + this.#ipOctets;
    const addressesAt = start + this.#head.sourceOffset - this.#headStart;
    if (!this.#hasRightSum(addressesAt, transportAt, start + octets, this.#head.protocol)) return 0;
    this.#pieces++;
    writeIov(this.#arena, this.#iovs + 16 * this.#pieces, start + headerOctets, payloadOctets);
    this.#total += payloadOctets;
    this.#closed = payloadOctets < this.#segmentOctets;
    if (this.#isTcp) this.#pass(transportAt, payloadOctets);
    return octets;
  }

  /** Takes a packet that `view` describes at `start`. It counts in `row` once the kernel has taken it, else as unsent. */
  write(start: number, view: IpPacketView, row: number): void {
    const payloadAt = this.#mergeablePayload(start, view);
    this.flush();
    this.#row = row;
    if (payloadAt !== 0) this.#begin(start, view, payloadAt);
    else this.#writeOne(start, view.totalLength);
  }

  flush(): void {
    if (this.#pieces === 0) return;
    if (this.#pieces === 1) this.#writeOne(this.#headStart, this.#head.totalLength);
    else this.#writeRun();
    this.#pieces = 0;
    this.#closed = true;
  }

  #writeOne(start: number, octets: number): void {
    const { view } = this.#arena;
    view.setInt32(this.#vnet, 0);
    view.setInt32(this.#vnet + 4, 0);
    view.setInt16(this.#vnet + 8, 0);
    writeIov(this.#arena, this.#iovs, this.#vnet, VNET_HEADER_OCTETS);
    writeIov(this.#arena, this.#iovs + 16, start, octets);
    this.#give(1, octets);
  }

  /** Hands the kernel the vnet header and what follows it: `packets` packets of `octets` together. */
  #give(packets: number, octets: number): void {
    const iovs = this.#arena.address + this.#iovs;
    let written: number;
    do written = Number(libc.writev(this.#fd, iovs, packets + 1));
    while (written < 0 && errno() === Errno.EINTR);
    if (written < 0) return this.#counters.add(this.#row, Counter.unsent, packets);
    this.#counters.add(this.#row, Counter.packets, packets);
    this.#counters.add(this.#row, Counter.bytes, octets);
  }

  /**
   * Offset of the payload when this packet may be part of a run, else 0: whole, with data, no IPv4 options, of TCP no flag but ACK and PSH, and a right checksum,
   * which the run's one checksum would otherwise hide.
   */
  #mergeablePayload(start: number, view: IpPacketView): number {
    const isTcp = view.protocol === IpProtocol.TCP;
    if (!isTcp && (view.protocol !== IpProtocol.UDP || !this.#mergesDatagrams)) return 0;
    if (view.isFragment || view.transportOffset - start !== (view.family === 4 ? 20 : 40)) return 0;
    const packetEnd = start + view.totalLength;
    const payloadAt = isTcp ? this.#segmentPayload(view, packetEnd) : this.#datagramPayload(view, packetEnd);
    if (payloadAt === 0 || payloadAt >= packetEnd) return 0;
    return this.#hasRightSum(view.sourceOffset, view.transportOffset, packetEnd, view.protocol) ? payloadAt : 0;
  }

  /** The checksum of TCP or UDP: the addresses lie right before the transport header, so that one sum is of both. */
  #hasRightSum(addressesAt: number, transportAt: number, packetEnd: number, protocol: number): boolean {
    const sum = this.#arena.sum(addressesAt, packetEnd - addressesAt) + protocol + (packetEnd - transportAt);
    return sum === 0xffff || sum === 0x1fffe;
  }

  #segmentPayload(view: IpPacketView, packetEnd: number): number {
    const { bytes } = this.#arena;
    const tcpOctets = tcpHeaderOctets(bytes, view, packetEnd);
    if (tcpOctets === 0 || (bytes[view.transportOffset + Tcp.flags]! & ~TcpFlag.PSH) !== TcpFlag.ACK) return 0;
    return view.transportOffset + tcpOctets;
  }

  /** RFC 768: a datagram that fills its packet; one without a checksum would get one. */
  #datagramPayload(view: IpPacketView, packetEnd: number): number {
    const { bytes } = this.#arena;
    const at = view.transportOffset;
    if (at + UDP_HEADER_OCTETS > packetEnd || readU16(bytes, at + Udp.length) !== packetEnd - at || readU16(bytes, at + Udp.checksum) === 0) return 0;
    return at + UDP_HEADER_OCTETS;
  }

  #begin(start: number, view: IpPacketView, payloadAt: number): void {
    copyView(view, this.#head);
    this.#headStart = start;
    this.#isTcp = view.protocol === IpProtocol.TCP;
    this.#ipOctets = view.transportOffset - start;
    this.#headerOctets = payloadAt - start;
    this.#segmentOctets = view.totalLength - this.#headerOctets;
    this.#total = view.totalLength;
    this.#pieces = 1;
    this.#closed = false;
    if (this.#isTcp) {
      this.#nextSequence = this.#arena.view.getInt32(view.transportOffset + Tcp.sequence);
      this.#pass(view.transportOffset, this.#segmentOctets);
    }
    writeIov(this.#arena, this.#iovs + 16, start, view.totalLength);
  }

  /** A segment has joined the run: what must come next; nothing behind PSH, which the whole then has. */
  #pass(tcp: number, payloadOctets: number): void {
    const { bytes } = this.#arena;
    this.#nextSequence = (this.#nextSequence + payloadOctets) | 0;
    if ((bytes[tcp + Tcp.flags]! & TcpFlag.PSH) === 0) return;
    const flagsAt = this.#head.transportOffset + Tcp.flags;
    bytes[flagsAt] = bytes[flagsAt]! | TcpFlag.PSH;
    this.#closed = true;
  }

  /** Same flow, the one that follows, and headers alike in all that one header must stand for. */
  #continues(start: number, octets: number): boolean {
    const { view: memory } = this.#arena;
    const headStart = this.#headStart;
    if (this.#head.family === 4) {
      // Version to TOS; DF and that it is no fragment; TTL and protocol; addresses.
      if (memory.getUint16(start) !== memory.getUint16(headStart) || memory.getInt32(start + 12) !== memory.getInt32(headStart + 12)) return false;
      if (memory.getUint16(start + 6) !== memory.getUint16(headStart + 6) || memory.getUint16(start + 8) !== memory.getUint16(headStart + 8)) return false;
      if (memory.getInt32(start + 16) !== memory.getInt32(headStart + 16)) return false;
      // The kernel numbers the pieces from the first one's identification on: where a packet may still be fragmented, that must be what they had (RFC 6864 §4).
      if (!this.#head.dontFragment && memory.getUint16(start + 4) !== ((memory.getUint16(headStart + 4) + this.#pieces) & 0xffff)) return false;
    } else {
      // Version to flow label; next header and hop limit; addresses.
      if (memory.getInt32(start) !== memory.getInt32(headStart) || memory.getUint16(start + 6) !== memory.getUint16(headStart + 6)) return false;
      if (!sameWords(memory, start + 8, headStart + 8, 8)) return false;
    }
    const transportAt = start + this.#ipOctets;
    // Ports
    if (memory.getInt32(transportAt) !== memory.getInt32(headStart + this.#ipOctets)) return false;
    return this.#isTcp ? this.#continuesStream(transportAt) : this.#continuesDatagrams(start, octets);
  }

  /** Next sequence number; acknowledgment; data offset; no flag but ACK and PSH; window; urgent pointer; options. */
  #continuesStream(tcp: number): boolean {
    const { view: memory } = this.#arena;
    const headTcp = this.#headStart + this.#ipOctets;
    return (
      memory.getInt32(tcp + Tcp.sequence) === this.#nextSequence &&
      memory.getInt32(tcp + Tcp.acknowledgment) === memory.getInt32(headTcp + Tcp.acknowledgment) &&
      (memory.getUint16(tcp + Tcp.dataOffset) & ~TcpFlag.PSH) === memory.getUint16(headTcp + Tcp.dataOffset) &&
      memory.getUint16(tcp + Tcp.window) === memory.getUint16(headTcp + Tcp.window) &&
      memory.getUint16(tcp + Tcp.urgentPointer) === memory.getUint16(headTcp + Tcp.urgentPointer) &&
      sameWords(memory, tcp + Tcp.options, headTcp + Tcp.options, (this.#headerOctets - this.#ipOctets - Tcp.options) >> 2)
    );
  }

  /** A datagram that fills its packet and has a checksum. */
  #continuesDatagrams(start: number, octets: number): boolean {
    const { view: memory } = this.#arena;
    const udp = start + this.#ipOctets;
    return memory.getUint16(udp + Udp.length) === octets - this.#ipOctets && memory.getUint16(udp + Udp.checksum) !== 0;
  }

  /** One packet of `pieces` segments: lengths of the whole, and a checksum that the kernel completes. */
  #writeRun(): void {
    const arena = this.#arena;
    const { bytes, view } = arena;
    const head = this.#head;
    const start = this.#headStart;
    const isTcp = this.#isTcp;
    const transportAt = this.#ipOctets;
    const transportOctets = this.#total - transportAt;
    const checksumAt = isTcp ? Tcp.checksum : Udp.checksum;
    if (head.family === 4) {
      writeU16(bytes, start + 2, this.#total);
      writeIpv4Checksum(arena, start, head.transportOffset);
    } else {
      writeU16(bytes, start + 4, this.#total - 40);
    }
    if (!isTcp) writeU16(bytes, head.transportOffset + Udp.length, transportOctets);
    writeU16(bytes, head.transportOffset + checksumAt, pseudoHeaderSum(arena, head, head.protocol, transportOctets));
    bytes[this.#vnet] = Vnet.NEEDS_CSUM;
    bytes[this.#vnet + 1] = !isTcp ? Vnet.GSO_UDP_L4 : head.family === 4 ? Vnet.GSO_TCPV4 : Vnet.GSO_TCPV6;
    view.setUint16(this.#vnet + 2, this.#headerOctets, true);
    view.setUint16(this.#vnet + 4, this.#segmentOctets, true);
    view.setUint16(this.#vnet + 6, transportAt, true);
    view.setUint16(this.#vnet + 8, checksumAt, true);
    writeIov(arena, this.#iovs, this.#vnet, VNET_HEADER_OCTETS);
    this.#give(this.#pieces, this.#total + (this.#pieces - 1) * this.#headerOctets);
  }
}

function sameWords(memory: DataView, a: number, b: number, words: number): boolean {
  for (let i = 0; i < words; i++) if (memory.getInt32(a + 4 * i) !== memory.getInt32(b + 4 * i)) return false;
  return true;
}
