import type { Arena } from "../ffi/arena.ts";
import { Errno, errno, libc } from "../ffi/native.ts";
import { readControl, type ReceivedControl, SOCKADDR_OCTETS, writeIov, writeMessageHeader } from "../ffi/udp-socket.ts";

const MESSAGES = 16;
const MMSGHDR_OCTETS = 64;
const BUFFER_OCTETS = 65_536;
/** Free in front of each buffer: for a header that the kernel does not hand over. */
const FRONT_OCTETS = 64;
const CONTROL_OCTETS = 128;
const NAME_OCTETS = 64;

/** recvmmsg into an arena: up to 16 messages a call, each one datagram or, through UDP_GRO, a run of them of one size. */
export class ReceiveBatch {
  readonly #arena: Arena;
  readonly #headers: number;
  readonly #iovs: number;
  readonly #names: number;
  readonly #controls: number;
  readonly #buffers: number;
  /** How many headers the kernel has written to since they were set. */
  #used = MESSAGES;
  readonly control: ReceivedControl = { segmentOctets: 0, destinationAt: 0, trafficClass: 0 };

  constructor(arena: Arena) {
    this.#arena = arena;
    this.#headers = arena.allocate(MMSGHDR_OCTETS * MESSAGES);
    this.#iovs = arena.allocate(16 * MESSAGES);
    this.#names = arena.allocate(NAME_OCTETS * MESSAGES);
    this.#controls = arena.allocate(CONTROL_OCTETS * MESSAGES);
    this.#buffers = arena.allocate((FRONT_OCTETS + BUFFER_OCTETS) * MESSAGES);
  }

  /** Number of messages received; 0 when none waits. @throws Error when the descriptor is no socket (any more): it would be ready for ever. */
  receive(fd: number): number {
    // The kernel shortens the lengths of name and control messages to what it wrote.
    for (let i = 0; i < this.#used; i++) this.#describe(i);
    const received: number = libc.recvmmsg(fd, this.#arena.address + this.#headers, MESSAGES, 0, 0);
    this.#used = received < 0 ? MESSAGES : received;
    if (received >= 0) return received;
    const code = errno();
    if (code === Errno.EBADF || code === Errno.ENOTSOCK) throw new Error(`the NAT-T socket cannot be read any more (errno ${code})`);
    return 0;
  }

  get capacity(): number {
    return MESSAGES;
  }

  /** There are 64 octets before it that the owner of the batch may write. */
  dataAt(index: number): number {
    return this.#buffers + (FRONT_OCTETS + BUFFER_OCTETS) * index + FRONT_OCTETS;
  }

  octets(index: number): number {
    return this.#arena.words[(this.#headers + MMSGHDR_OCTETS * index + 56) >>> 2]!;
  }

  /** sockaddr of the sender. */
  nameAt(index: number): number {
    return this.#names + NAME_OCTETS * index;
  }

  /** Fills `control` from this message. */
  readControl(index: number): void {
    const octets = this.#arena.view.getUint32(this.#headers + MMSGHDR_OCTETS * index + 40, true);
    readControl(this.#arena, this.#controls + CONTROL_OCTETS * index, octets, this.control);
  }

  /** Octets from each packet of this message to the next: it is one, or with UDP_GRO several of one size (the last may be shorter). Fills `control`. */
  stepOf(index: number): number {
    this.readControl(index);
    return this.control.segmentOctets > 0 ? this.control.segmentOctets : Math.max(this.octets(index), 1);
  }

  #describe(index: number): void {
    writeIov(this.#arena, this.#iovs + 16 * index, this.dataAt(index), BUFFER_OCTETS);
    writeMessageHeader(this.#arena, this.#headers + MMSGHDR_OCTETS * index, this.#name(index), this.#iov(index), this.#control(index));
  }

  // One object of each kind, refilled: a literal for every message would be three allocations.
  readonly #nameField = { at: 0, octets: SOCKADDR_OCTETS };
  readonly #iovField = { at: 0, count: 1 };
  readonly #controlField = { at: 0, octets: CONTROL_OCTETS };

  #name(index: number) {
    this.#nameField.at = this.#names + NAME_OCTETS * index;
    return this.#nameField;
  }

  #iov(index: number) {
    this.#iovField.at = this.#iovs + 16 * index;
    return this.#iovField;
  }

  #control(index: number) {
    this.#controlField.at = this.#controls + CONTROL_OCTETS * index;
    return this.#controlField;
  }
}
