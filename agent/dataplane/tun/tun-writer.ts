import { type IpPacketView, IpProtocol, makeIpPacketView } from "../../wire/ip.ts";
import { readU16, readU32, writeU16 } from "../../wire/octets.ts";
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
    this.#arena.bytes.fill(0, this.#vnet, this.#vnet + VNET_HEADER_OCTETS);
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
    const tcp = packetEnd - view.transportOffset;
    const sum = pseudoHeaderSum(this.#arena, view, IpProtocol.TCP, tcp) + this.#arena.sum(view.transportOffset, tcp);
    return sum === 0xffff || sum === 0x1fffe ? payloadAt : 0;
  }

  #begin(start: number, view: IpPacketView, payloadAt: number): void {
    const packetEnd = start + view.totalLength;
    Object.assign(this.#head, view);
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
    const { bytes } = this.#arena;
    const head = this.#head;
    const tcp = view.transportOffset;
    if (view.family !== head.family || readU32(bytes, tcp + Tcp.sequence) !== this.#nextSequence) return false;
    // IPv4: version to TOS, DF, TTL, protocol and addresses; IPv6: the first word and from the next header on.
    if (readU16(bytes, start) !== readU16(bytes, this.#headStart)) return false;
    if (view.family === 4 && (readU16(bytes, start + 6) !== readU16(bytes, this.#headStart + 6) || bytes[start + 8] !== bytes[this.#headStart + 8]))
      return false;
    if (view.family === 6 && (readU16(bytes, start + 2) !== readU16(bytes, this.#headStart + 2) || bytes[start + 7] !== bytes[this.#headStart + 7]))
      return false;
    const addresses = view.family === 4 ? 8 : 32;
    if (!same(bytes, view.sourceOffset, head.sourceOffset, addresses)) return false;
    // Ports; acknowledgment and data offset; window; urgent pointer and options.
    const headTcp = head.transportOffset;
    const options = this.#headerOctets - (headTcp - this.#headStart) - 18;
    return (
      same(bytes, tcp, headTcp, 4) &&
      same(bytes, tcp + Tcp.acknowledgment, headTcp + Tcp.acknowledgment, 5) &&
      same(bytes, tcp + Tcp.window, headTcp + Tcp.window, 2) &&
      same(bytes, tcp + 18, headTcp + 18, options)
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

function same(bytes: Uint8Array, a: number, b: number, octets: number): boolean {
  for (let i = 0; i < octets; i++) if (bytes[a + i] !== bytes[b + i]) return false;
  return true;
}
