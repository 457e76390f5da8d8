import { performance } from "node:perf_hooks";
import { parentPort, receiveMessageOnPort, workerData } from "node:worker_threads";
import type { OutboundPolicy } from "../../ipsec/security-association.ts";
import { eraseSaKeys } from "../../crypto/sa-keys.ts";
import { makeIpPacketView, readIpPacket } from "../../wire/ip.ts";
import { writeU16 } from "../../wire/octets.ts";
import type { EspSpi } from "../../wire/ikev2/message-types.ts";
import type { DataPlaneEvent } from "../data-plane.ts";
import { Heartbeat } from "../heartbeat.ts";
import { AeadBatch } from "../ffi/aead-batch.ts";
import { Arena } from "../ffi/arena.ts";
import { Errno, libc } from "../ffi/native.ts";
import { runInBatches } from "../ffi/scheduling.ts";
import { VNET_HEADER_OCTETS, Vnet } from "../ffi/tun-device.ts";
import { PollSet } from "../ffi/waiting.ts";
import { Counter, CounterTable, GLOBAL_ROW } from "./counters.ts";
import { aheadOfTransmitSa, closeTransmitSa, makeTransmitSa, MOST_TRANSMIT_OCTETS, moveTransmitSa, type TransmitSa } from "./outbound-sa.ts";
import { FrameReader } from "./frame-reader.ts";
import { canFragment, fragmentIpv4 } from "./inner-fragments.ts";
import { InsideAnswers } from "./inside-answers.ts";
import { PathMtus } from "./path-mtus.ts";
import { type CompiledPolicy, PolicyTable } from "./policy-table.ts";
import { outerSockets } from "./outer-sockets.ts";
import { ReadAhead } from "./read-ahead.ts";
import { LifetimeTimer } from "./sa-lifetime.ts";
import type { SaParts } from "./sa-parts.ts";
import { reserveInner, sealInner } from "./seal-packet.ts";
import { segmentTcp, segmentUdp } from "./segmentation.ts";
import { clampMss, folded, tcpHeaderOctets } from "./tcp-header.ts";
import { TransmitBatch } from "./transmit-batch.ts";
import { UDP_HEADER_OCTETS } from "./udp-header.ts";
import { type CommandBatch, type FromWorker, MAX_SAS, type WorkerOptions, obeyAll, type WorkerCommand } from "./worker-protocol.ts";

/*
 * From the inside to the outside: TUN → policy → SA → ESP → UDP. A loop that blocks in poll and then drains the device; it never
 * returns to the event loop. Nothing is allocated for a packet.
 */
/** A frame, what is sealed of it, and all SAs. What nothing was ever written to takes no memory. */
const ARENA_OCTETS = (24 << 20) + MAX_SAS * MOST_TRANSMIT_OCTETS;
/** Few enough that it is still in the cache when it is sent, and that a packet behind a long queue does not wait until all of that is read. */
const SENT_AT_ONCE_OCTETS = 256 << 10;
const READS_A_ROUND = 64;
const ACQUIRE_INTERVAL_MS = 1_000;
const HELD_MS = 1_000;
const IPV6_LEAST_MTU = 1_280;
/** For how long a policy may be without an SA before those who send are told. */
const PATIENCE_MS = 3_000;
/** Few enough that what is sealed is still in the cache when it is sent. */
const SEALED_AT_ONCE = 64;
const MOST_SEGMENT_OCTETS = 65_536;

const port = parentPort;
if (port === null) throw new Error("this file is a worker");
const options: WorkerOptions = workerData;
const arena = new Arena(ARENA_OCTETS);
const counters = new CounterTable(options.counters);
const heartbeat = new Heartbeat(options.heartbeat);
const policies = new PolicyTable<TransmitSa>();
const sas = new Map<EspSpi, TransmitSa>();
const paths = new PathMtus(options.pathMtu);
const lifetimes = new LifetimeTimer(sas);
const sealing = AeadBatch.create(arena, "seal", SEALED_AT_ONCE);
const parts: SaParts = { arena, counters, batch: sealing, raw: options.raw };
const batch = new TransmitBatch(arena, outerSockets(options.udpFds, options.raw), counters, sealing, () => heartbeat.beat());
const frames = new FrameReader(arena, options.tunFd);
const ahead = new ReadAhead<TransmitSa>(FrameReader.most, {
  place: (index) => policies.place(arena.bytes, frames.at(index) + VNET_HEADER_OCTETS),
  find: (index) => policies.peek(arena.bytes, frames.at(index) + VNET_HEADER_OCTETS),
  ...aheadOfTransmitSa(arena, counters),
});
const answers = new InsideAnswers(arena, options.tunFd);
const view = makeIpPacketView();
const polled = new PollSet(arena, [options.wakeFd, options.tunFd]);
const TUN_POLLED = 1;
/** Of the frame that is being taken. */
let frameAt = 0;
/** Milliseconds of a clock that is never set, and of the one on the wall. */
let now = 0;
let wallNow = 0;
let running = true;
/** In another's place: what waits in the device is read only once there is an SA again, or when none comes. */
let heldUntil = options.isReplacement ? performance.now() + HELD_MS : 0;

// The segment or fragment being sealed: module-level so that the callbacks below are made once and not for every packet.
let currentSa: TransmitSa | null = null;
const placeSegment = (octets: number): number => (currentSa === null ? 0 : reserveInner(batch, currentSa, octets));
const sealSegment = (at: number, octets: number): boolean => currentSa !== null && seal(currentSa, at, octets);
/** A segment that is to be cut once more. */
const segmentAt = arena.allocate(MOST_SEGMENT_OCTETS);
const placeAside = (): number => segmentAt;
const sealInFragments = (at: number, octets: number): boolean =>
  currentSa !== null && fragmentIpv4(arena, at, octets, currentSa.maxInner, placeSegment, sealSegment);

run();

function run(): void {
  runInBatches(arena);
  heartbeat.begin(libc.gettid());
  if (heldUntil !== 0) polled.attend(TUN_POLLED, options.tunFd, false);
  say({ kind: "ready" });
  try {
    while (running) turn();
  } finally {
    // However it ends: its keys are erased.
    for (const sa of sas.values()) closeTransmitSa(arena, sa);
  }
}

function turn(): void {
  polled.wait(heartbeat.turn(waitMs()));
  now = performance.now();
  wallNow = Date.now();
  if (heldUntil !== 0 && now >= heldUntil) readDevice();
  lifetimes.run(tellExpiry);
  if (polled.ready(0)) {
    polled.drain(options.wakeFd);
    takeCommands();
  }
  if (polled.ready(TUN_POLLED)) drainTun();
}

function waitMs(): number {
  const lifetime = lifetimes.timeoutMs();
  if (heldUntil === 0) return lifetime;
  const held = Math.max(0, Math.ceil(heldUntil - performance.now()));
  return lifetime < 0 ? held : Math.min(lifetime, held);
}

function readDevice(): void {
  heldUntil = 0;
  polled.attend(TUN_POLLED, options.tunFd, true);
}

function drainTun(): void {
  for (let reads = 0; reads < READS_A_ROUND; ) {
    const count = frames.read();
    ahead.run(count);
    for (let index = 0; index < count; index++) {
      frameAt = frames.at(index);
      const octets = frames.octets(index);
      if (octets > VNET_HEADER_OCTETS) takeFrame(frameAt + VNET_HEADER_OCTETS, frameAt + octets);
      if (batch.octets >= SENT_AT_ONCE_OCTETS) batch.flush();
    }
    reads += count;
    if (frames.failure !== 0) {
      if (frames.failure !== Errno.EAGAIN && frames.failure !== Errno.EINTR) loseDevice(frames.failure);
      break;
    }
  }
  batch.flush();
}

/** Not read again until the main thread has made another: what is left to do is to send what was read before. */
function loseDevice(code: number): void {
  if (code !== Errno.EBADFD) throw new Error(`the TUN device cannot be read any more (errno ${code})`);
  polled.attend(TUN_POLLED, options.tunFd, false);
  say({ kind: "deviceLost", reason: "the TUN device was deleted" });
}

/** One read: a packet, or up to 64 KB of one flow that the kernel left for us to cut (gso_type in the vnet header). */
function takeFrame(start: number, end: number): void {
  const { bytes } = arena;
  if (!readIpPacket(bytes, start, end, view)) return counters.add(GLOBAL_ROW, Counter.malformed, 1);
  const policy = policies.lookup(bytes, view);
  const sa = policies.saOf(policy);
  if (sa === null) return refuse(policies.policyOf(policy), start);
  const flags = bytes[frameAt]!;
  const gsoType = bytes[frameAt + 1]!;
  const isPartial = (flags & Vnet.NEEDS_CSUM) !== 0;
  clampMss(bytes, view, start + view.totalLength, sa.maxInner, isPartial);
  if (gsoType !== Vnet.GSO_NONE) return takeLargeFrame(sa, start, gsoType);
  const isTooLong = view.totalLength > sa.maxInner;
  if (isTooLong && view.dontFragment && view.totalLength > largestOf(sa)) return refuseTooBig(sa, start);
  if (isPartial && !completeChecksum(start)) return counters.add(sa.row, Counter.malformed, 1);
  if (isTooLong && view.family === 4 && canFragment(bytes, start)) return sealFragments(sa, start);
  const at = reserveInner(batch, sa, view.totalLength);
  arena.copyAndSum(start, view.totalLength, at);
  seal(sa, at, view.totalLength);
}

function takeLargeFrame(sa: TransmitSa, start: number, gsoType: number): void {
  const segmentOctets = arena.view.getUint16(frameAt + 4, true);
  const isUdp = gsoType === Vnet.GSO_UDP_L4;
  if (!isUdp && gsoType !== Vnet.GSO_TCPV4 && gsoType !== Vnet.GSO_TCPV6) return counters.add(sa.row, Counter.malformed, 1);
  // Not hdr_len of the vnet header: for a forwarded flow it is the kernel's whole linear part, data included.
  const headerOctets = isUdp ? UDP_HEADER_OCTETS : tcpHeaderOctets(arena.bytes, view, start + view.totalLength);
  if (headerOctets === 0) return counters.add(sa.row, Counter.malformed, 1);
  const largest = view.transportOffset - start + headerOctets + segmentOctets;
  if (view.dontFragment && largest > largestOf(sa)) return refuseTooBig(sa, start);
  // Who allows fragments does not search for the path's MTU: an answer would be taken late, or not at all.
  const isCut = largest > sa.maxInner && view.family === 4 && canFragment(arena.bytes, start);
  currentSa = sa;
  const segment = isUdp ? segmentUdp : segmentTcp;
  if (!segment(arena, start, view, segmentOctets, isCut ? placeAside : placeSegment, isCut ? sealInFragments : sealSegment))
    counters.add(sa.row, Counter.malformed, 1);
  currentSa = null;
}

function sealFragments(sa: TransmitSa, start: number): void {
  currentSa = sa;
  fragmentIpv4(arena, start, view.totalLength, sa.maxInner, placeSegment, sealSegment);
  currentSa = null;
}

function seal(sa: TransmitSa, at: number, octets: number): boolean {
  if (counters.isOver(sa.row) || !sealInner(arena, batch, sa, at, octets, view.family)) {
    counters.add(sa.row, Counter.lifetime, 1);
    return false;
  }
  if (counters.sent(sa.row, octets, wallNow)) tellExpiry(sa);
  return true;
}

function tellExpiry(sa: TransmitSa): void {
  const reached = sa.lifetime.advance(performance.now());
  if (reached !== null) raise({ kind: "expire", childSaId: sa.childSaId, spi: sa.spi, hard: reached === "hard" });
}

/** The kernel left the transport checksum to us: the field holds the pseudo-header's sum, csum_start and csum_offset say where. */
function completeChecksum(start: number): boolean {
  const at = start + arena.view.getUint16(frameAt + 6, true);
  const field = at + arena.view.getUint16(frameAt + 8, true);
  const end = start + view.totalLength;
  if (at < start || field + 2 > end) return false;
  const sum = ~folded(arena.sum(at, end - at)) & 0xffff;
  writeU16(arena.bytes, field, sum === 0 ? 0xffff : sum);
  return true;
}

/** Of IPv6 every link carries 1,280 octets (RFC 8200 §5): no sender can be told less, so the outer packet goes in fragments where the path takes less. */
function largestOf(sa: TransmitSa): number {
  return view.family === 6 ? Math.max(sa.maxInner, IPV6_LEAST_MTU) : sa.maxInner;
}

/** No SA for it: dropped, never sent in clear; a policy that waits for a negotiation asks for one, at most once a second. */
function refuse(policy: CompiledPolicy<TransmitSa> | undefined, start: number): void {
  if (policy === undefined) return prohibit(start);
  counters.add(GLOBAL_ROW, policy.discards ? Counter.policy : Counter.noSa, 1);
  policy.refusingSince ??= now;
  // A negotiation is given its time before its failure is told.
  if (now - policy.refusingSince >= PATIENCE_MS) answers.unreachable(view, start, "noPeer", now);
  if (now - policy.lastAcquireAt < ACQUIRE_INTERVAL_MS) return;
  policy.lastAcquireAt = now;
  raise({ kind: "acquire", policyId: policy.id });
}

/** Not what any link is for. */
function prohibit(start: number): void {
  counters.add(GLOBAL_ROW, Counter.policy, 1);
  answers.unreachable(view, start, "prohibited", now);
}

function refuseTooBig(sa: TransmitSa, start: number): void {
  counters.add(sa.row, Counter.tooBig, 1);
  answers.tooBig(view, start, largestOf(sa), now);
}

function takeCommands(): void {
  for (let received = receiveMessageOnPort(parent()); received !== undefined; received = receiveMessageOnPort(parent())) {
    const batch: CommandBatch = received.message;
    say(obeyAll(batch, obey));
  }
}

function obey(command: WorkerCommand): void {
  // Thousands may come at once.
  heartbeat.beat();
  switch (command.kind) {
    case "installOutbound":
      if (sas.has(command.sa.spi)) throw new Error(`an outbound SA with the SPI ${command.sa.spi.toString(16)} is installed already`);
      try {
        return add(makeTransmitSa(parts, command.sa, command.row, paths.of(command.sa.remote.address), 0, command.numbers));
      } finally {
        eraseSaKeys(command.sa.keys);
      }
    case "updateSa": {
      const sa = sas.get(command.spi);
      if (sa === undefined) return;
      moveTransmitSa(arena, sa, command.remote);
      return paths.move(sa, command.remote.address);
    }
    case "pathMtu":
      return paths.set(command.remote, command.octets, sas.values());
    case "deleteSa":
      return remove(command.spi);
    case "installPolicy":
      policies.install(command.policy, saOf(command.policy));
      if (heldUntil !== 0 && command.policy.action.kind === "protect") readDevice();
      return;
    case "deletePolicy":
      return policies.remove(command.id);
    case "flush":
      policies.clear();
      for (const spi of [...sas.keys()]) remove(spi);
      return;
    case "deviceReplaced":
      return readDevice();
    case "stop":
      running = false;
      return;
    case "installInbound":
      throw new Error("an inbound SA was given to the outbound worker");
  }
}

function add(sa: TransmitSa): void {
  sas.set(sa.spi, sa);
  lifetimes.watch(sa);
}

/** What this worker sends under. It may have begun after some of the SAs that the policy names: those went with the one before it. */
function saOf({ id, action }: OutboundPolicy): TransmitSa | null {
  if (action.kind === "discard") return null;
  const sa = sas.get(action.workerSpis?.[options.worker] ?? action.spi) ?? sas.get(action.spi);
  if (sa === undefined) throw new Error(`the policy ${id} names no SA of this worker's`);
  return sa;
}

function remove(spi: EspSpi): void {
  const sa = sas.get(spi);
  if (sa === undefined) return;
  sas.delete(spi);
  policies.forget(sa);
  closeTransmitSa(arena, sa);
}

function raise(event: DataPlaneEvent): void {
  say({ kind: "event", event });
}

function say(message: FromWorker): void {
  parent().postMessage(message);
}

function parent() {
  if (port === null) throw new Error("this file is a worker");
  return port;
}
