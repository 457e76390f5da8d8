import { performance } from "node:perf_hooks";
import { parentPort, receiveMessageOnPort, workerData } from "node:worker_threads";
import { eraseSaKeys } from "../../crypto/sa-keys.ts";
import { highBits, inferSequenceNumber } from "../../ipsec/replay-window.ts";
import { formatAddress } from "../../wire/address.ts";
import { ahSequence, ahSpi, ahStatedOctets, isPossibleAh } from "../../wire/ah.ts";
import { ESP_HEADER_LENGTH, espPayloadEnd, espSequence, espSpi, NextHeader } from "../../wire/esp.ts";
import { HEADER_LENGTH as IKE_HEADER_LENGTH } from "../../wire/ikev2/header.ts";
import type { EspSpi } from "../../wire/ikev2/message-types.ts";
import { readPacketTooBig } from "../../wire/icmp.ts";
import { makeIpPacketView, readIpPacket } from "../../wire/ip.ts";
import { classifyEncapsulated, NON_ESP_MARKER_LENGTH } from "../../wire/udp-encap.ts";
import type { DataPlaneEvent } from "../data-plane.ts";
import { Heartbeat } from "../heartbeat.ts";
import { AeadBatch } from "../ffi/aead-batch.ts";
import { Arena } from "../ffi/arena.ts";
import type { EspShape } from "../ffi/esp-suite.ts";
import { libc } from "../ffi/native.ts";
import { runInBatches } from "../ffi/scheduling.ts";
import { readSockaddr } from "../ffi/udp-socket.ts";
import { PollSet } from "../ffi/waiting.ts";
import { Counter, CounterTable, GLOBAL_ROW } from "./counters.ts";
import { combineEcn, isUnmarked } from "./ecn.ts";
import { Allowance } from "./allowance.ts";
import { EarlyPackets } from "./early-packets.ts";
import { HANDED_HEADER_OCTETS, handedClass, handedStep, HandOver } from "./hand-over.ts";
import { closeReceiveSa, followPeer, isForPacket, isFromPeer, makeReceiveSa, MOST_RECEIVE_OCTETS, moveReceiveSa, type ReceiveSa } from "./inbound-sa.ts";
import { InboundAhead } from "./inbound-ahead.ts";
import { MessageRoom } from "./message-room.ts";
import { PathMtus } from "./path-mtus.ts";
import { type Opening, OpeningQueue } from "./opening-queue.ts";
import { outerHeaderAt, outerHeaderOctets, rawAhAt, rawEspAt } from "./raw-packets.ts";
import { ReceiveBatch } from "./receive-batch.ts";
import { ReceiveSas } from "./receive-sas.ts";
import { clampMss } from "./tcp-header.ts";
import { LifetimeTimer } from "./sa-lifetime.ts";
import type { SaParts } from "./sa-parts.ts";
import { TunWriter } from "./tun-writer.ts";
import { type CommandBatch, type FromWorker, MAX_SAS, type WorkerOptions, obeyAll, type WorkerCommand } from "./worker-protocol.ts";

/*
 * From the outside to the inside: UDP → (IKE to the main thread) → ESP → SA → replay → ICV → selectors → TUN; ESP and AH that do not go in UDP
 * come through raw sockets. A loop that blocks in poll and then drains the sockets. Nothing is allocated for a packet; hostile octets are parsed here, in TypeScript, with lengths
 * checked before anything is read.
 */
/** Messages, packets that came early, and all SAs. What nothing was ever written to takes no memory. */
const ARENA_OCTETS = (16 << 20) + MAX_SAS * MOST_RECEIVE_OCTETS;
const ROUNDS = 8;
const NOTICES_A_SECOND = 20;
/** As much of a packet as says whose it is: non-ESP marker and both IKE SPIs. */
const QUOTED_OCTETS = 20;
/** Few enough that what is opened is still in the cache when it is written to the device; at least two messages of a stream, whose receiver can then be woken once for both. */
const OPENED_AT_ONCE = 128;

const port = parentPort;
if (port === null) throw new Error("this file is a worker");
const options: WorkerOptions = workerData;
const arena = new Arena(ARENA_OCTETS);
const counters = new CounterTable(options.counters);
const heartbeat = new Heartbeat(options.heartbeat);
const sas = new ReceiveSas();
const paths = new PathMtus(options.pathMtu);
const lifetimes = new LifetimeTimer(sas);
const batch = new ReceiveBatch(arena);
const ahead = new InboundAhead(arena, counters, batch, sas);
const tun = new TunWriter(arena, options.tunFd, counters, options.mergesDatagrams);
const early = new EarlyPackets(arena);
const ikeRoom = new MessageRoom(options.ikeRoom);
const batchedOpening = AeadBatch.create(arena, "open", OPENED_AT_ONCE);
const opening = batchedOpening === null ? null : new OpeningQueue(batchedOpening);
const parts: SaParts = { arena, counters, batch: batchedOpening, raw: options.raw };
const handOver = options.handOver === null ? null : new HandOver(arena, options.handOver, options.worker, counters);
const notices = new Allowance(NOTICES_A_SECOND);
const view = makeIpPacketView();
/** Milliseconds of a clock that is never set, and of the one on the wall. */
let now = 0;
let wallNow = 0;
let running = true;

run();

function run(): void {
  runInBatches(arena);
  heartbeat.begin(libc.gettid());
  const sources = sourcesOf(options);
  const polled = new PollSet(arena, [options.wakeFd, ...sources.map(({ fd }) => fd)]);
  say({ kind: "ready" });
  try {
    while (running) turn(polled, sources);
  } finally {
    // However it ends: its keys are erased.
    for (const sa of sas.values()) closeReceiveSa(arena, sa);
  }
}

function turn(polled: PollSet, sources: readonly Source[]): void {
  polled.wait(heartbeat.turn(lifetimes.timeoutMs()));
  now = performance.now();
  wallNow = Date.now();
  lifetimes.run(tellExpiry);
  if (polled.ready(0)) {
    polled.drain(options.wakeFd);
    takeCommands();
  }
  for (let index = 0; index < sources.length; index++) if (polled.ready(index + 1)) drainSocket(sources[index]!);
}

/** A socket and what its messages are. */
interface Source {
  readonly fd: number;
  readonly take: (index: number, fd: number) => void;
  /** Where several of its messages may be of several SAs in UDP. */
  readonly ahead: InboundAhead | null;
}

function sourcesOf({ udpFds, raw, icmpFds, handOver: handed }: WorkerOptions): Source[] {
  const all: readonly (readonly [number | null, Source["take"], InboundAhead?])[] = [
    [udpFds[0], takeMessage, ahead],
    [udpFds[1], takeMessage, ahead],
    [raw.esp[0], (index) => takeRawEsp(index, 4)],
    [raw.esp[1], (index) => takeRawEsp(index, 6)],
    [raw.ah[0], (index) => takeRawAh(index, 4)],
    [raw.ah[1], (index) => takeRawAh(index, 6)],
    [icmpFds[4], (index) => takeIcmp(index, 4)],
    [icmpFds[6], (index) => takeIcmp(index, 6)],
    [handed?.own ?? null, takeHanded],
  ];
  return all.flatMap(([fd, take, itsAhead = null]) => (fd === null ? [] : [{ fd, take, ahead: itsAhead }]));
}

function drainSocket({ fd, take, ahead: itsAhead }: Source): void {
  for (let round = 0; round < ROUNDS; round++) {
    heartbeat.beat();
    const count = batch.receive(fd);
    for (let index = 0; index < count; index++) {
      itsAhead?.of(index, count);
      take(index, fd);
    }
    opening?.take(takeOpening);
    handOver?.flush();
    // A lone segment must not wait for a next one, and the buffers are about to be reused.
    tun.flush();
    if (count < batch.capacity) return;
  }
}

/** A message is one datagram or several. */
function takeMessage(index: number, fd: number): void {
  const step = batch.stepOf(index);
  const start = batch.dataAt(index);
  const octets = batch.octets(index);
  for (let offset = 0; offset < octets; offset += step) {
    const at = start + offset;
    const end = start + Math.min(offset + step, octets);
    switch (classifyEncapsulated(arena.bytes, at, end)) {
      case "esp":
        takeEsp(at, end, batch.nameAt(index), batch.control.trafficClass);
        break;
      case "ike":
        takeIke(at, end, index, fd);
        break;
      case "keepalive":
        break;
      case "invalid":
        counters.add(GLOBAL_ROW, Counter.malformed, 1);
        break;
    }
  }
}

/** ESP of this worker that came to another's socket. */
function takeHanded(index: number): void {
  const headerAt = batch.dataAt(index);
  const messageEnd = headerAt + batch.octets(index);
  const step = Math.max(handedStep(arena, headerAt), 1);
  const outerClass = handedClass(arena, headerAt);
  for (let at = headerAt + HANDED_HEADER_OCTETS; at < messageEnd; at += step) takeEsp(at, Math.min(at + step, messageEnd), headerAt, outerClass);
}

function takeRawEsp(index: number, family: 4 | 6): void {
  batch.readControl(index);
  const at = rawEspAt(arena, batch, index, family);
  if (at === -1) return counters.add(GLOBAL_ROW, Counter.malformed, 1);
  takeEsp(at, batch.dataAt(index) + batch.octets(index), batch.nameAt(index), batch.control.trafficClass);
}

function takeRawAh(index: number, family: 4 | 6): void {
  batch.readControl(index);
  const at = rawAhAt(arena, batch, index, family);
  if (at === -1) return counters.add(GLOBAL_ROW, Counter.malformed, 1);
  takeAh(outerHeaderAt(batch, index, family), at, batch.dataAt(index) + batch.octets(index), batch.nameAt(index), batch.control.trafficClass);
}

/** RFC 4302 §3.4, as `takeEsp`: the packet `[headerAt, end)` has at least the fixed part of AH at `ahAt`. */
function takeAh(headerAt: number, ahAt: number, end: number, nameAt: number, outerClass: number): void {
  const { bytes } = arena;
  const spi = ahSpi(bytes, ahAt);
  const sa = sas.get(spi);
  if (sa === undefined) {
    counters.add(GLOBAL_ROW, Counter.noSa, 1);
    early.keep("ah", spi, headerAt, end, nameAt, outerClass, now);
    return;
  }
  if (counters.isOver(sa.row)) return counters.add(sa.row, Counter.lifetime, 1);
  const { ah } = sa;
  if (ah === null || !isPossibleAh(bytes, ahAt, end, ah.icvOctets, bytes[headerAt]! >> 4 === 4 ? 4 : 6)) return counters.add(sa.row, Counter.malformed, 1);
  const sequence = sequenceOf(sa, ahSequence(bytes, ahAt));
  if (sequence < 0 || !sa.window.check(sequence)) return counters.add(sa.row, Counter.replay, 1);
  const innerAt = ahAt + ahStatedOctets(bytes, ahAt);
  const nextHeader = bytes[ahAt]!;
  if (!ah.verify(headerAt, ahAt - headerAt, ahAt, end, highBits(sequence))) return counters.add(sa.row, Counter.integrity, 1);
  sa.window.mark(sequence);
  takeInner(sa, innerAt, end, nextHeader, outerClass);
}

/** RFC 4303 §3.4: SA, replay window, ICV, then the number is marked as seen, then what came out is checked. */
function takeEsp(start: number, end: number, nameAt: number, outerClass: number): void {
  const { bytes } = arena;
  const spi = espSpi(bytes, start);
  const sa = sas.get(spi);
  if (sa === undefined) {
    if (handOver?.takes(spi, start, end, nameAt, outerClass) === true) return;
    counters.add(GLOBAL_ROW, Counter.noSa, 1);
    early.keep("esp", spi, start, end, nameAt, outerClass, now);
    return;
  }
  if (counters.isOver(sa.row)) return counters.add(sa.row, Counter.lifetime, 1);
  const { shape, batched } = sa;
  if (shape === null || end - start < ESP_HEADER_LENGTH + shape.ivOctets + 2 + shape.icvOctets) return counters.add(sa.row, Counter.malformed, 1);
  const sequence = sequenceOf(sa, espSequence(bytes, start));
  if (sequence < 0 || !sa.window.check(sequence)) return counters.add(sa.row, Counter.replay, 1);
  if (opening === null || batched === null) {
    if (sa.transform?.open(start, end, highBits(sequence)) !== true) return counters.add(sa.row, Counter.integrity, 1);
    return takeOpened(sa, shape, start, end, sequence, nameAt, outerClass);
  }
  if (opening.isFull) opening.take(takeOpening);
  if (!batched.note(sa.lineAt, start, end, highBits(sequence))) return counters.add(sa.row, Counter.integrity, 1);
  opening.add(sa, start, end, sequence, nameAt, outerClass);
}

/** The window is asked once more: the same packet twice in one batch passed the first check twice. */
function takeOpening(sa: ReceiveSa, { start, end, sequence, nameAt, outerClass }: Opening, isIntact: boolean): void {
  if (!isIntact) return counters.add(sa.row, Counter.integrity, 1);
  if (!sa.window.check(sequence)) return counters.add(sa.row, Counter.replay, 1);
  if (counters.isOver(sa.row)) return counters.add(sa.row, Counter.lifetime, 1);
  if (sa.shape !== null) takeOpened(sa, sa.shape, start, end, sequence, nameAt, outerClass);
}

/** The whole number of a packet that carries its low 32 bits. */
function sequenceOf({ extended, window }: ReceiveSa, low: number): number {
  return extended ? inferSequenceNumber(low, window.highest, window.windowPackets) : low;
}

function takeOpened(sa: ReceiveSa, shape: EspShape, start: number, end: number, sequence: number, nameAt: number, outerClass: number): void {
  const isNewest = sequence > sa.window.highest;
  sa.window.mark(sequence);
  if (isNewest && !isFromPeer(arena, sa, nameAt)) noticeMove(sa, nameAt);
  const payloadAt = start + ESP_HEADER_LENGTH + shape.ivOctets;
  const contentEnd = end - shape.icvOctets;
  const payloadEnd = espPayloadEnd(arena.bytes, payloadAt, contentEnd);
  if (payloadEnd < 0) return counters.add(sa.row, Counter.malformed, 1);
  takeInner(sa, payloadAt, payloadEnd, arena.bytes[contentEnd - 1]!, outerClass);
}

/** What came out of an SA. */
function takeInner(sa: ReceiveSa, start: number, payloadEnd: number, nextHeader: number, outerClass: number): void {
  const { bytes } = arena;
  if (!sa.used) {
    sa.used = true;
    raise({ kind: "firstInboundPacket", childSaId: sa.childSaId, spi: sa.spi });
  }
  // RFC 4303 §2.6: a dummy packet, sent to hide how much traffic there is.
  if (nextHeader === NextHeader.NONE) return;
  const family = nextHeader === NextHeader.IPV4 ? 4 : nextHeader === NextHeader.IPV6 ? 6 : 0;
  // Most packets follow one of the same flow, and what was found out about that holds for them too.
  const isMarked = !isUnmarked(outerClass);
  if (!isMarked) {
    const octets = tun.extend(start, payloadEnd, family, sa.row);
    if (octets !== 0) return count(sa, octets);
  }
  if (!readIpPacket(bytes, start, payloadEnd, view) || view.family !== family) return counters.add(sa.row, Counter.malformed, 1);
  if (!isForPacket(arena, sa, view)) return counters.add(sa.row, Counter.policy, 1);
  if (!combineEcn(bytes, start, view.family, outerClass)) return counters.add(sa.row, Counter.congestion, 1);
  count(sa, view.totalLength);
  clampMss(bytes, view, start + view.totalLength, sa.maxInner, false);
  // One that routers have marked may continue a run once it has its mark.
  if (!isMarked || tun.extend(start, payloadEnd, family, sa.row) === 0) tun.write(start, view, sa.row);
}

function count(sa: ReceiveSa, octets: number): void {
  if (counters.use(sa.row, octets, wallNow)) tellExpiry(sa);
}

function tellExpiry(sa: ReceiveSa): void {
  const reached = sa.lifetime.advance(performance.now());
  if (reached !== null) raise({ kind: "expire", childSaId: sa.childSaId, spi: sa.spi, hard: reached === "hard" });
}

/** Only for an authenticated packet newer than all before, or an old one replayed from elsewhere could move the tunnel (RFC 3947 §5.1). */
function noticeMove(sa: ReceiveSa, nameAt: number): void {
  const remote = followPeer(arena, sa, nameAt, now);
  if (remote !== null) raise({ kind: "natMappingChanged", childSaId: sa.childSaId, spi: sa.spi, remote });
}

function takeIke(start: number, end: number, index: number, fd: number): void {
  if (end - start < NON_ESP_MARKER_LENGTH + IKE_HEADER_LENGTH) return counters.add(GLOBAL_ROW, Counter.malformed, 1);
  if (!ikeRoom.take()) return counters.add(GLOBAL_ROW, Counter.unsent, 1);
  const isV4 = fd === options.udpFds[0];
  const at = batch.control.destinationAt;
  const address = at === 0 ? (isV4 ? "0.0.0.0" : "::") : formatAddress(arena.bytes.slice(at, at + (isV4 ? 4 : 16)));
  say({
    kind: "ike",
    datagram: {
      local: { address, port: 0 },
      remote: readSockaddr(arena, batch.nameAt(index)),
      bytes: arena.bytes.slice(start + NON_ESP_MARKER_LENGTH, end),
    },
  });
}

/** Anyone can send such a message: whether it quotes a packet of ours is for the control plane to say, and few a second are passed on to it. */
function takeIcmp(index: number, family: 4 | 6): void {
  const start = batch.dataAt(index);
  const read = readPacketTooBig(arena.bytes, start, start + batch.octets(index), family);
  if (read === null || !notices.allows(now)) return;
  const { mtu, destinationAt, payloadAt, payloadEnd } = read;
  const remote = formatAddress(arena.bytes.slice(destinationAt, destinationAt + (family === 4 ? 4 : 16)));
  raise({ kind: "packetTooBig", remote, quoted: arena.bytes.slice(payloadAt, Math.min(payloadEnd, payloadAt + QUOTED_OCTETS)), mtu });
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
    case "installInbound": {
      const { sa, row } = command;
      try {
        if (sas.get(sa.spi) !== undefined) throw new Error(`an inbound SA with the SPI ${sa.spi.toString(16)} is installed already`);
        const made = makeReceiveSa(parts, sa, row, paths.of(sa.remote.address));
        sas.add(made);
        lifetimes.watch(made);
        return takeEarly(made);
      } finally {
        eraseSaKeys(sa.keys);
      }
    }
    case "updateSa": {
      const sa = sas.get(command.spi);
      if (sa === undefined) return;
      moveReceiveSa(arena, sa, command.remote);
      return paths.move(sa, command.remote.address);
    }
    case "pathMtu":
      return paths.set(command.remote, command.octets, sas.values());
    case "deleteSa":
      return remove(command.spi);
    case "flush":
      for (const { spi } of [...sas.values()]) remove(spi);
      return;
    case "stop":
      running = false;
      return;
    case "installOutbound":
    case "installPolicy":
    case "deletePolicy":
    case "deviceReplaced":
      throw new Error(`${command.kind} was given to the inbound worker`);
  }
}

/** What was here before its SA is no drop after all. */
function takeEarly({ spi, ah }: ReceiveSa): void {
  early.take(ah === null ? "esp" : "ah", spi, now, (start, end, nameAt, outerClass) => {
    counters.add(GLOBAL_ROW, Counter.noSa, -1);
    if (ah === null) return takeEsp(start, end, nameAt, outerClass);
    takeAh(start, start + outerHeaderOctets(arena.bytes, start, end), end, nameAt, outerClass);
  });
  opening?.take(takeOpening);
  tun.flush();
}

function remove(spi: EspSpi): void {
  const sa = sas.get(spi);
  if (sa === undefined) return;
  sas.delete(sa);
  closeReceiveSa(arena, sa);
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
