import type { AeadBatch } from "../ffi/aead-batch.ts";
import type { Arena } from "../ffi/arena.ts";
import { Errno, errno, libc } from "../ffi/native.ts";
import { CONTROL_OCTETS, writeControl, writeIov, writeMessageHeader } from "../ffi/udp-socket.ts";
import { waitWritable } from "../ffi/waiting.ts";
import type { OuterSockets } from "./outer-sockets.ts";
import { type CounterTable, Counter, GLOBAL_ROW } from "./counters.ts";
import type { TransmitSa } from "./outbound-sa.ts";

/** A UDP_SEGMENT message: at most 64 datagrams of one size (the last may be shorter) and less than 64 KB (udp(7)). */
const MAX_SEGMENTS = 64;
const MAX_GROUP_OCTETS = 65_000;
const MAX_GROUPS = 64;
const MMSGHDR_OCTETS = 64;
const DATA_OCTETS = 4 << 20;
const SEND_WAIT_MS = 100;
/** For how long no message is cut by the kernel after it could not: which interface a peer is behind may change, and that of one peer says nothing of the others'. */
const SINGLY_MS = 60_000;

interface Group {
  /** The first one's: whatever else is in the group goes from and to the same endpoints. */
  sa: TransmitSa | null;
  /** Which packet of the batch it begins with. */
  first: number;
  start: number;
  octets: number;
  segmentOctets: number;
  /** Of the outer headers: one message has one. */
  trafficClass: number;
  count: number;
  closed: boolean;
}

/**
 * Sealed packets on their way out. Packets lie one behind the other; a run of equal ones to the same peer, of whichever SAs, becomes one message
 * that the kernel (or the NIC) cuts up, and all messages go in one sendmmsg. Nothing is allocated once it is made.
 */
export class TransmitBatch {
  readonly #arena: Arena;
  readonly #fds: OuterSockets;
  readonly #counters: CounterTable;
  readonly #sealing: AeadBatch | null;
  readonly #onWait: () => void;
  readonly #data: number;
  readonly #headers: number;
  readonly #iovs: number;
  readonly #controls: number;
  readonly #scratch: number;
  readonly #groups: Group[] = [];
  /** The counters' row of each packet, for those that the kernel refuses. */
  readonly #rows = new Int32Array(MAX_GROUPS * MAX_SEGMENTS);
  #packetCount = 0;
  #groupCount = 0;
  #end: number;
  /** Where the interface has no checksum offload UDP_SEGMENT fails with EIO: for a while every datagram goes by itself. */
  #segmentation = true;
  #singlyUntil = 0;
  readonly #clock: () => number;

  /**
   * `sealing`: where committed packets may still wait to be sealed. `onWait` is called whenever a full socket is waited for. `clock`: milliseconds of one that
   * is never set; it is read only where UDP_SEGMENT has failed.
   */
  constructor(
    arena: Arena,
    fds: OuterSockets,
    counters: CounterTable,
    sealing: AeadBatch | null,
    onWait: () => void = () => undefined,
    clock: () => number = () => performance.now(),
  ) {
    this.#clock = clock;
    this.#arena = arena;
    this.#sealing = sealing;
    this.#onWait = onWait;
    this.#fds = fds;
    this.#counters = counters;
    this.#data = arena.allocate(DATA_OCTETS);
    this.#headers = arena.allocate(MMSGHDR_OCTETS * MAX_GROUPS);
    this.#iovs = arena.allocate(16 * MAX_GROUPS);
    this.#controls = arena.allocate(CONTROL_OCTETS * MAX_GROUPS);
    this.#scratch = arena.allocate(8);
    this.#end = this.#data;
    for (let i = 0; i < MAX_GROUPS; i++)
      this.#groups.push({ sa: null, first: 0, start: 0, octets: 0, segmentOctets: 0, trafficClass: 0, count: 0, closed: true });
  }

  /** Where the next sealed packet must be written: behind the one before, so that a run needs no copy. */
  reserve(octets: number): number {
    if (this.#end + octets > this.#data + DATA_OCTETS) this.flush();
    return this.#end;
  }

  /** Takes the packet just written at `reserve`'s offset; `trafficClass` is for its outer header. */
  commit(sa: TransmitSa, octets: number, trafficClass: number): void {
    this.#rows[this.#packetCount++] = sa.row;
    const last = this.#groups[this.#groupCount - 1];
    if (last !== undefined && last.trafficClass === trafficClass && fits(last, sa, octets)) {
      last.octets += octets;
      last.count++;
      if (octets < last.segmentOctets) last.closed = true;
      this.#end += octets;
      return;
    }
    const start = this.#end;
    this.#end += octets;
    const group = this.#groups[this.#groupCount++];
    if (group === undefined) throw new Error("the batch has no free group");
    group.sa = sa;
    group.first = this.#packetCount - 1;
    group.start = start;
    group.octets = octets;
    group.segmentOctets = octets;
    group.trafficClass = trafficClass;
    group.count = 1;
    // A raw socket takes one packet a message.
    group.closed = !sa.isEncapsulated;
    // One group more than this is never begun before the batch is sent.
    if (this.#groupCount === MAX_GROUPS) this.flush();
  }

  /** What waits for `flush`. */
  get octets(): number {
    return this.#end - this.#data;
  }

  flush(): void {
    this.#sealing?.runSeals();
    if (!this.#segmentation) this.#segmentation = this.#clock() >= this.#singlyUntil;
    for (let first = 0; first < this.#groupCount; ) {
      const socket = this.#groups[first]?.sa?.socket ?? 0;
      let end = first + 1;
      while (end < this.#groupCount && this.#groups[end]?.sa?.socket === socket) end++;
      this.#sendRun(first, end, this.#fds[socket] ?? null);
      first = end;
    }
    this.#groupCount = 0;
    this.#packetCount = 0;
    this.#end = this.#data;
  }

  #sendRun(first: number, end: number, fd: number | null): void {
    if (fd === null) {
      for (let i = first; i < end; i++) this.#countUnsent(this.#groups[i], 0);
      return;
    }
    for (let i = first; i < end; i++) this.#describe(i);
    let at = first;
    let waits = 0;
    while (at < end) {
      const next = this.#groups[at];
      if (!this.#segmentation && next !== undefined && next.count > 1) {
        this.#sendSingly(fd, next, at++);
        continue;
      }
      const sent: number = libc.sendmmsg(fd, this.#arena.address + this.#headers + MMSGHDR_OCTETS * at, this.#segmentation ? end - at : 1, 0);
      if (sent > 0) {
        at += sent;
        continue;
      }
      const code = errno();
      if (code === Errno.EINTR) continue;
      if ((code === Errno.EAGAIN || code === Errno.ENOBUFS) && waits++ < 10) {
        this.#wait(fd);
        continue;
      }
      const group = this.#groups[at];
      if (group !== undefined && group.count > 1 && isOfMessage(code)) {
        if (code === Errno.EIO) this.#endSegmentation();
        this.#sendSingly(fd, group, at);
      } else {
        // No route, or the source address is gone: nothing to retry here, the peer's liveness check will tell.
        this.#countUnsent(group, code);
      }
      at++;
    }
  }

  #endSegmentation(): void {
    this.#segmentation = false;
    this.#singlyUntil = this.#clock() + SINGLY_MS;
  }

  #describe(index: number): void {
    const group = this.#groups[index];
    if (group === undefined || group.sa === null) return;
    const control = this.#controls + CONTROL_OCTETS * index;
    const segmented = group.count > 1 && this.#segmentation;
    const controlOctets = writeControl(this.#arena, control, group.sa.source, segmented ? group.segmentOctets : 0, group.trafficClass);
    writeIov(this.#arena, this.#iovs + 16 * index, group.start, group.octets);
    writeMessageHeader(
      this.#arena,
      this.#headers + MMSGHDR_OCTETS * index,
      { at: group.sa.destinationAt, octets: group.sa.destinationOctets },
      { at: this.#iovs + 16 * index, count: 1 },
      { at: control, octets: controlOctets },
    );
  }

  /** The datagrams of one group by themselves, reusing its header. */
  #sendSingly(fd: number, group: Group, index: number): void {
    if (group.sa === null) return;
    const arena = this.#arena;
    const header = this.#headers + MMSGHDR_OCTETS * index;
    arena.writeSize(header + 40, writeControl(arena, this.#controls + CONTROL_OCTETS * index, group.sa.source, 0, group.trafficClass));
    let packet = group.first;
    for (let at = group.start; at < group.start + group.octets; at += group.segmentOctets, packet++) {
      writeIov(arena, this.#iovs + 16 * index, at, Math.min(group.segmentOctets, group.start + group.octets - at));
      for (let tries = 1; Number(libc.sendmsg(fd, arena.address + header, 0)) < 0; tries++) {
        const code = errno();
        if (code === Errno.EINTR) continue;
        if ((code !== Errno.EAGAIN && code !== Errno.ENOBUFS) || tries === 10) {
          this.#countOneUnsent(packet, code);
          break;
        }
        this.#wait(fd);
      }
    }
  }

  #wait(fd: number): void {
    this.#onWait();
    waitWritable(this.#arena, this.#scratch, fd, SEND_WAIT_MS);
  }

  #countUnsent(group: Group | undefined, code: number): void {
    if (group !== undefined) for (let packet = group.first; packet < group.first + group.count; packet++) this.#countOneUnsent(packet, code);
  }

  #countOneUnsent(packet: number, code: number): void {
    this.#counters.add(this.#rows[packet] ?? GLOBAL_ROW, code === Errno.EMSGSIZE ? Counter.tooBig : Counter.unsent, 1);
  }
}

/**
 * What need not hold of the datagrams by themselves: the interface cannot cut (EIO), or it is too narrow for one of them, which by itself goes in fragments. For
 * that older kernels say EINVAL, newer ones EMSGSIZE.
 */
function isOfMessage(code: number): boolean {
  return code === Errno.EIO || code === Errno.EINVAL || code === Errno.EMSGSIZE;
}

function fits(group: Group, sa: TransmitSa, octets: number): boolean {
  return (
    group.sa?.route === sa.route && !group.closed && octets <= group.segmentOctets && group.count < MAX_SEGMENTS && group.octets + octets <= MAX_GROUP_OCTETS
  );
}
