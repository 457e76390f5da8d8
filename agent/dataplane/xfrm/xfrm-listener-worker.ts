import { parentPort, workerData } from "node:worker_threads";
import { formatAddress } from "../../wire/address.ts";
import { classifyEncapsulated, NON_ESP_MARKER_LENGTH } from "../../wire/udp-encap.ts";
import { Arena } from "../ffi/arena.ts";
import { libc } from "../ffi/native.ts";
import { NetlinkPort } from "../ffi/netlink-socket.ts";
import { readSockaddr } from "../ffi/udp-socket.ts";
import { PollSet } from "../ffi/waiting.ts";
import { Heartbeat } from "../heartbeat.ts";
import { ReceiveBatch } from "../tun/receive-batch.ts";
import { decodeEvent, type KernelEvent } from "./kernel-events.ts";
import type { FromListener, ListenerOptions } from "./listener-protocol.ts";
import { decodeMessages } from "./netlink.ts";

/*
 * Listens for the main thread: to the NAT-T port, where the kernel leaves IKE and nothing else, and to what the kernel tells of SAs and policies.
 * Blocks in poll; takes no orders but the one to end.
 */
const ARENA_OCTETS = 2 << 20;
const port = parentPort;
if (port === null) throw new Error("this file is a worker");
const options: ListenerOptions = workerData;
const arena = new Arena(ARENA_OCTETS);
const batch = new ReceiveBatch(arena);
const kernel = new NetlinkPort(options.eventFd);
const heartbeat = new Heartbeat(options.heartbeat);

run();

function run(): void {
  const fds = options.udpFds.filter((fd) => fd !== null);
  const polled = new PollSet(arena, [options.wakeFd, options.eventFd, ...fds]);
  heartbeat.begin(libc.gettid());
  say({ kind: "ready" });
  while (true) {
    polled.wait(heartbeat.turn(-1));
    if (polled.ready(0)) return;
    if (polled.ready(1)) takeEvents();
    for (const [index, fd] of fds.entries()) if (polled.ready(index + 2)) takeDatagrams(fd);
  }
}

function takeEvents(): void {
  const events: KernelEvent[] = [];
  for (let received = kernel.receive(); received !== "none"; received = kernel.receive()) {
    heartbeat.beat();
    if (received === "lost") events.push({ kind: "lost" });
    else events.push(...decodeMessages(received).flatMap((message) => decodeEvent(message) ?? []));
  }
  if (events.length > 0) say({ kind: "kernel", events });
}

function takeDatagrams(fd: number): void {
  for (let count = batch.receive(fd); count > 0; count = batch.receive(fd)) {
    // Whoever floods the port keeps this going.
    heartbeat.beat();
    for (let index = 0; index < count; index++) takeDatagram(index, fd);
  }
}

function takeDatagram(index: number, fd: number): void {
  batch.readControl(index);
  const start = batch.dataAt(index);
  const end = start + batch.octets(index);
  if (classifyEncapsulated(arena.bytes, start, end) !== "ike") return;
  const isV4 = fd === options.udpFds[0];
  const at = batch.control.destinationAt;
  const address = at === 0 ? (isV4 ? "0.0.0.0" : "::") : formatAddress(arena.bytes.slice(at, at + (isV4 ? 4 : 16)));
  const bytes = arena.bytes.slice(start + NON_ESP_MARKER_LENGTH, end);
  say({ kind: "ike", datagram: { local: { address, port: 0 }, remote: readSockaddr(arena, batch.nameAt(index)), bytes } });
}

function say(message: FromListener): void {
  port?.postMessage(message);
}
