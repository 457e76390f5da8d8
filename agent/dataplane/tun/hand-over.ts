import { inboundWorkerOf } from "../../ipsec/inbound-share.ts";
import type { EspSpi } from "../../wire/ikev2/message-types.ts";
import type { Arena } from "../ffi/arena.ts";
import { libc } from "../ffi/native.ts";
import { SOCKADDR_OCTETS, writeIov, writeMessageHeader } from "../ffi/udp-socket.ts";
import { Counter, type CounterTable, GLOBAL_ROW } from "./counters.ts";

/*
 * ESP that came to another inbound worker's socket. The kernel picks the socket by the SPI of a message's first datagram, and a message is many
 * datagrams of one size (UDP_SEGMENT at the sender, UDP_GRO here), of whichever SAs. A run of such datagrams goes to its worker by a UNIX socket, as one
 * message: what a datagram costs here is two copies.
 */

/** Before the datagrams: sockaddr of the sender, the size of each but the last, and the outer traffic class. */
export const HANDED_HEADER_OCTETS = 32;
const STEP_AT = SOCKADDR_OCTETS;
const CLASS_AT = SOCKADDR_OCTETS + 2;
const MSGHDR_OCTETS = 56;
/** What a buffer of the other's ReceiveBatch holds. */
const MAX_OCTETS = 65_536 - HANDED_HEADER_OCTETS;

export interface HandOverSockets {
  /** Where this worker finds what is its own. */
  readonly own: number;
  /** Where that of each worker is left. */
  readonly toEach: readonly number[];
}

export class HandOver {
  readonly #arena: Arena;
  readonly #toEach: readonly number[];
  readonly #worker: number;
  readonly #counters: CounterTable;
  readonly #header: number;
  readonly #message: number;
  readonly #iovs: number;
  #owner = 0;
  #start = 0;
  #end = 0;
  #step = 0;
  #count = 0;

  constructor(arena: Arena, { toEach }: HandOverSockets, worker: number, counters: CounterTable) {
    this.#arena = arena;
    this.#toEach = toEach;
    this.#worker = worker;
    this.#counters = counters;
    this.#header = arena.allocate(HANDED_HEADER_OCTETS);
    this.#iovs = arena.allocate(32);
    this.#message = arena.allocate(MSGHDR_OCTETS);
    writeIov(arena, this.#iovs, this.#header, HANDED_HEADER_OCTETS);
    writeMessageHeader(arena, this.#message, { at: this.#header, octets: 0 }, { at: this.#iovs, count: 2 }, { at: this.#header, octets: 0 });
    // Neither a name nor control messages: those of length 0 must not have an address.
    arena.bytes.fill(0, this.#message, this.#message + 8);
    arena.bytes.fill(0, this.#message + 32, this.#message + 40);
  }

  /**
   * False: the packet `[start, end)` is for this worker. What lies behind the one before, and is no longer than that, goes in the same message: it is of
   * the same sender. Packets must stay where they are until `flush`.
   */
  takes(spi: EspSpi, start: number, end: number, nameAt: number, outerClass: number): boolean {
    const owner = inboundWorkerOf(spi, this.#toEach.length);
    if (owner === this.#worker) return false;
    const octets = end - start;
    const continues = this.#count > 0 && owner === this.#owner && start === this.#end && octets <= this.#step && end - this.#start <= MAX_OCTETS;
    // One shorter than the others is the last.
    if (!continues || this.#end - this.#start !== this.#count * this.#step) this.#begin(owner, start, octets, nameAt, outerClass);
    this.#end = end;
    this.#count++;
    return true;
  }

  flush(): void {
    if (this.#count === 0) return;
    const arena = this.#arena;
    const octets = this.#end - this.#start;
    writeIov(arena, this.#iovs + 16, this.#start, octets);
    const sent = octets <= MAX_OCTETS && Number(libc.sendmsg(this.#toEach[this.#owner]!, arena.address + this.#message, 0)) >= 0;
    // Its worker is too busy for more.
    if (!sent) this.#counters.add(GLOBAL_ROW, Counter.unsent, this.#count);
    this.#count = 0;
  }

  #begin(owner: number, start: number, octets: number, nameAt: number, outerClass: number): void {
    this.flush();
    const { bytes, view } = this.#arena;
    bytes.copyWithin(this.#header, nameAt, nameAt + SOCKADDR_OCTETS);
    view.setUint16(this.#header + STEP_AT, octets, true);
    bytes[this.#header + CLASS_AT] = outerClass;
    this.#owner = owner;
    this.#start = start;
    this.#step = octets;
  }
}

/** The size of each datagram of a handed message but the last. */
export function handedStep(arena: Arena, headerAt: number): number {
  return arena.view.getUint16(headerAt + STEP_AT, true);
}

export function handedClass(arena: Arena, headerAt: number): number {
  return arena.bytes[headerAt + CLASS_AT]!;
}
