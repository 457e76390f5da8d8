import { parentPort, workerData } from "node:worker_threads";
import { formatAddress } from "../../wire/address.ts";
import { HEADER_LENGTH } from "../../wire/ikev2/header.ts";
import { classifyEncapsulated, NON_ESP_MARKER_LENGTH } from "../../wire/udp-encap.ts";
import { Arena } from "../ffi/arena.ts";
import { libc } from "../ffi/native.ts";
import { NetlinkPort } from "../ffi/netlink-socket.ts";
import { readSockaddr } from "../ffi/udp-socket.ts";
import { PollSet } from "../ffi/waiting.ts";
import { Heartbeat } from "../heartbeat.ts";
import { MessageRoom } from "../tun/message-room.ts";
import { ReceiveBatch } from "../tun/receive-batch.ts";
import { decodeEvent, decodePolicyEvent, type KernelEvent, isAboutLostInterface } from "./kernel-events.ts";
import type { FromListener, ListenerOptions } from "./listener-protocol.ts";
import { decodeMessages, type NetlinkMessage } from "./netlink.ts";

/*
 * Listens for the main thread: to the NAT-T port, where the kernel leaves IKE and nothing else, and to what the kernel tells of SAs, policies and interfaces.
 * Blocks in poll; takes no orders but the one to end.
 */
const ARENA_OCTETS = 2 << 20;
/** What is read of one source before the others are looked at again: whoever floods the port must not keep the rest from being heard. */
const ROUNDS = 8;
const EVENTS_A_TURN = 128;
const port = parentPort;
if (port === null) throw new Error("this file is a worker");
const options: ListenerOptions = workerData;
const arena = new Arena(ARENA_OCTETS);
const batch = new ReceiveBatch(arena);
const heartbeat = new Heartbeat(options.heartbeat);
const ikeRoom = new MessageRoom(options.ikeRoom);
const interfaceGone: KernelEvent = { kind: "interfaceGone" };

run();

function run(): void {
  const sources = [
    { fd: options.wakeFd, take: () => undefined },
    { fd: options.eventFd, take: listenTo(options.eventFd, { kind: "lost" }, decodeEvent) },
    { fd: options.policyFd, take: listenTo(options.policyFd, { kind: "policyDeleted", index: null }, decodePolicyEvent) },
    ...(options.linkFd === null ? [] : [{ fd: options.linkFd, take: listenTo(options.linkFd, interfaceGone, decodeLinkEvent) }]),
    ...options.udpFds.filter((fd) => fd !== null).map((fd) => ({ fd, take: () => takeDatagrams(fd) })),
  ];
  const polled = new PollSet(
    arena,
    sources.map(({ fd }) => fd),
  );
  heartbeat.begin(libc.gettid());
  say({ kind: "ready" });
  while (true) {
    polled.wait(heartbeat.turn(-1));
    if (polled.ready(0)) return;
    for (const [index, { take }] of sources.entries()) if (polled.ready(index)) take();
  }
}

function decodeLinkEvent(message: NetlinkMessage): KernelEvent | null {
  return isAboutLostInterface(message) ? interfaceGone : null;
}

/** `ifLost`: what it comes to when the kernel has dropped some of what it told. */
function listenTo(fd: number, ifLost: KernelEvent, decode: (message: NetlinkMessage) => KernelEvent | null): () => void {
  const kernel = new NetlinkPort(fd);
  return () => {
    const events: KernelEvent[] = [];
    for (let count = 0; count < EVENTS_A_TURN; count++) {
      const received = kernel.receive();
      if (received === "none") break;
      if (received === "lost") events.push(ifLost);
      else events.push(...decodeMessages(received).flatMap((message) => decode(message) ?? []));
    }
    if (events.length > 0) say({ kind: "kernel", events });
  };
}

function takeDatagrams(fd: number): void {
  for (let round = 0; round < ROUNDS; round++) {
    heartbeat.beat();
    const count = batch.receive(fd);
    for (let index = 0; index < count; index++) takeDatagram(index, fd);
    if (count < batch.capacity) return;
  }
}

function takeDatagram(index: number, fd: number): void {
  batch.readControl(index);
  const start = batch.dataAt(index);
  const end = start + batch.octets(index);
  // What is too short for an IKE header, or finds no room, is dropped as by the full buffer of a socket.
  if (classifyEncapsulated(arena.bytes, start, end) !== "ike" || end - start < NON_ESP_MARKER_LENGTH + HEADER_LENGTH || !ikeRoom.take()) return;
  const isV4 = fd === options.udpFds[0];
  const at = batch.control.destinationAt;
  const address = at === 0 ? (isV4 ? "0.0.0.0" : "::") : formatAddress(arena.bytes.slice(at, at + (isV4 ? 4 : 16)));
  const bytes = arena.bytes.slice(start + NON_ESP_MARKER_LENGTH, end);
  say({ kind: "ike", datagram: { local: { address, port: 0 }, remote: readSockaddr(arena, batch.nameAt(index)), bytes } });
}

function say(message: FromListener): void {
  port?.postMessage(message);
}
