import { copyView, type IpPacketView, IpProtocol, makeIpPacketView } from "../../wire/ip.ts";
import { readU32, writeU16 } from "../../wire/octets.ts";
import type { Arena } from "../ffi/arena.ts";
import { Errno, errno, libc } from "../ffi/native.ts";
import { VNET_HEADER_OCTETS, Vnet } from "../ffi/tun-device.ts";
import { writeIov } from "../ffi/udp-socket.ts";
import { Counter, type CounterTable, GLOBAL_ROW } from "./counters.ts";
import { pseudoHeaderSum, Tcp, TcpFlag, tcpHeaderOctets, writeIpv4Checksum } from "./tcp-header.ts";

const MAX_PIECES = 64;
const MAX_OCTETS = 65_535;

/**
 * Writes opened packets to the TUN device. Consecutive segments of one TCP flow are handed over as one packet with its segment size
 * in the vnet header (what GRO does), gathered from where they lie: nothing is copied. `flush` must be called before the
 * packets' memory is reused.
 */
export class TunWriter {
  readonly #arena: Arena;
  readonly #fd: number;
  readonly #counters: CounterTable;
  readonly #vnet: number;
  readonly #iovs: number;
  /** The first packet of the run and what the next must continue. */
  readonly #head: IpPacketView = makeIpPacketView();
  #row = GLOBAL_ROW;
  #headStart = 0;
  #headerOctets = 0;
  #segmentOctets = 0;
  #total = 0;
  #pieces = 0;
  #nextSequence = 0;
  #closed = true;

  constructor(arena: Arena, fd: number, counters: CounterTable) {
    this.#arena = arena;
    this.#fd = fd;
    this.#counters = counters;
    this.#vnet = arena.allocate(VNET_HEADER_OCTETS);
    this.#iovs = arena.allocate(16 * (MAX_PIECES + 1));
  }

  /** Takes a packet that `view` describes at `start`. It counts in `row` once the kernel has taken it, else as unsent. */
  write(start: number, view: IpPacketView, row: number): void {
    const payloadAt = this.#mergeablePayload(start, view);
    if (payloadAt !== 0 && row === this.#row && this.#append(start, view, payloadAt)) return;
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
   * Offset of the payload when this packet may be part of a run, else 0: whole TCP with data, no flag but ACK and PSH, no IPv4 options,
   * and a right checksum, which the run's one checksum would otherwise hide.
   */
  #mergeablePayload(start: number, view: IpPacketView): number {
    const { bytes } = this.#arena;
    if (view.protocol !== IpProtocol.TCP || view.isFragment || view.transportOffset - start !== (view.family === 4 ? 20 : 40)) return 0;
    const packetEnd = start + view.totalLength;
    const tcpOctets = tcpHeaderOctets(bytes, view, packetEnd);
    const payloadAt = view.transportOffset + tcpOctets;
    if (tcpOctets === 0 || payloadAt >= packetEnd) return 0;
    if ((bytes[view.transportOffset + Tcp.flags]! & ~TcpFlag.PSH) !== TcpFlag.ACK) return 0;
    // The addresses lie right before the TCP header, so that one sum is of both.
    const sum = this.#arena.sum(view.sourceOffset, packetEnd - view.sourceOffset) + IpProtocol.TCP + (packetEnd - view.transportOffset);
    return sum === 0xffff || sum === 0x1fffe ? payloadAt : 0;
  }

  #begin(start: number, view: IpPacketView, payloadAt: number): void {
    const packetEnd = start + view.totalLength;
    copyView(view, this.#head);
    this.#headStart = start;
    this.#headerOctets = payloadAt - start;
    this.#segmentOctets = packetEnd - payloadAt;
    this.#total = view.totalLength;
    this.#pieces = 1;
    this.#nextSequence = (readU32(this.#arena.bytes, view.transportOffset + Tcp.sequence) + this.#segmentOctets) >>> 0;
    this.#closed = (this.#arena.bytes[view.transportOffset + Tcp.flags]! & TcpFlag.PSH) !== 0;
    writeIov(this.#arena, this.#iovs + 16, start, view.totalLength);
  }

  #append(start: number, view: IpPacketView, payloadAt: number): boolean {
    const { bytes } = this.#arena;
    const octets = start + view.totalLength - payloadAt;
    if (this.#closed || this.#pieces === MAX_PIECES || octets > this.#segmentOctets || this.#total + octets > MAX_OCTETS) return false;
    if (payloadAt - start !== this.#headerOctets || !this.#continues(start, view)) return false;
    this.#pieces++;
    writeIov(this.#arena, this.#iovs + 16 * this.#pieces, payloadAt, octets);
    this.#total += octets;
    this.#nextSequence = (this.#nextSequence + octets) >>> 0;
    const isPushed = (bytes[view.transportOffset + Tcp.flags]! & TcpFlag.PSH) !== 0;
    if (isPushed) bytes[this.#head.transportOffset + Tcp.flags] = bytes[this.#head.transportOffset + Tcp.flags]! | TcpFlag.PSH;
    this.#closed = isPushed || octets < this.#segmentOctets;
    return true;
  }

  /** Same flow, next sequence number, and headers alike in all that one header must stand for. */
  #continues(start: number, view: IpPacketView): boolean {
    const { view: memory } = this.#arena;
    const head = this.#head;
    const headStart = this.#headStart;
    const tcp = view.transportOffset;
    const headTcp = head.transportOffset;
    if (view.family !== head.family || memory.getUint32(tcp + Tcp.sequence) !== this.#nextSequence) return false;
    // IPv4: version to TOS, DF, TTL and addresses; IPv6: the first word, the hop limit and addresses. The protocol is TCP in both.
    if (view.family === 4) {
      if (memory.getUint16(start) !== memory.getUint16(headStart) || memory.getUint16(start + 6) !== memory.getUint16(headStart + 6)) return false;
      if (memory.getUint8(start + 8) !== memory.getUint8(headStart + 8) || !sameWords(memory, start + 12, headStart + 12, 2)) return false;
    } else {
      if (memory.getInt32(start) !== memory.getInt32(headStart) || memory.getUint8(start + 7) !== memory.getUint8(headStart + 7)) return false;
      if (!sameWords(memory, start + 8, headStart + 8, 8)) return false;
    }
    // Ports; acknowledgment; data offset; window; urgent pointer; options.
    const options = this.#headerOctets - (headTcp - headStart) - Tcp.options;
    return (
      memory.getInt32(tcp) === memory.getInt32(headTcp) &&
      memory.getInt32(tcp + Tcp.acknowledgment) === memory.getInt32(headTcp + Tcp.acknowledgment) &&
      memory.getUint8(tcp + Tcp.dataOffset) === memory.getUint8(headTcp + Tcp.dataOffset) &&
      memory.getUint16(tcp + Tcp.window) === memory.getUint16(headTcp + Tcp.window) &&
      memory.getUint16(tcp + Tcp.urgentPointer) === memory.getUint16(headTcp + Tcp.urgentPointer) &&
      sameWords(memory, tcp + Tcp.options, headTcp + Tcp.options, options / 4)
    );
  }

  /** One packet of `pieces` segments: lengths of the whole, and a checksum that the kernel completes. */
  #writeRun(): void {
    const arena = this.#arena;
    const { bytes, view } = arena;
    const head = this.#head;
    const start = this.#headStart;
    const tcpAt = head.transportOffset - start;
    if (head.family === 4) {
      writeU16(bytes, start + 2, this.#total);
      writeIpv4Checksum(arena, start, head.transportOffset);
    } else {
      writeU16(bytes, start + 4, this.#total - 40);
    }
    writeU16(bytes, head.transportOffset + Tcp.checksum, pseudoHeaderSum(arena, head, IpProtocol.TCP, this.#total - tcpAt));
    bytes[this.#vnet] = Vnet.NEEDS_CSUM;
    bytes[this.#vnet + 1] = head.family === 4 ? Vnet.GSO_TCPV4 : Vnet.GSO_TCPV6;
    view.setUint16(this.#vnet + 2, this.#headerOctets, true);
    view.setUint16(this.#vnet + 4, this.#segmentOctets, true);
    view.setUint16(this.#vnet + 6, tcpAt, true);
    view.setUint16(this.#vnet + 8, Tcp.checksum, true);
    writeIov(arena, this.#iovs, this.#vnet, VNET_HEADER_OCTETS);
    this.#give(this.#pieces, this.#total + (this.#pieces - 1) * this.#headerOctets);
  }
}

function sameWords(memory: DataView, a: number, b: number, words: number): boolean {
  for (let i = 0; i < words; i++) if (memory.getInt32(a + 4 * i) !== memory.getInt32(b + 4 * i)) return false;
  return true;
}
