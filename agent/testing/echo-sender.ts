import { setTimeout as delay } from "node:timers/promises";
import { closeIcmpSocket, openIcmpSocket, receiveIcmp, sendIcmp, waitReadable } from "../dataplane/ffi/icmp-socket.ts";
import { internetChecksum } from "../wire/checksum.ts";
import { parseAddress } from "../wire/address.ts";

/**
 * Sends exactly `count` ICMP echo requests over IPv4 and waits for their answers: ping gives up after twice its slowest round trip, which on a busy
 * machine is too soon, and so cannot say what was lost. One JSON object as argument; prints one: how many were sent, which were not answered.
 */
interface Order {
  readonly source: string;
  readonly target: string;
  readonly count: number;
  readonly dataOctets: number;
  readonly intervalMs: number;
  /** Sends the next only when the one before was answered, so that no two ever travel together. */
  readonly oneByOne: boolean;
}

/** An answer later than this is a loss: far beyond what a busy machine makes of a round trip. */
const PATIENCE_MS = 3_000;
const ECHO_REQUEST = 8;
const ECHO_REPLY = 0;

const order: Order = JSON.parse(process.argv[2] ?? "{}");
const target = parseAddress(order.target) ?? new Uint8Array(4);
const fd = openIcmpSocket(parseAddress(order.source) ?? new Uint8Array(4));
const identifier = process.pid & 0xffff;
const unanswered = new Set<number>();
const received = new Uint8Array(65_536);

for (let sequence = 1; sequence <= order.count; sequence++) {
  unanswered.add(sequence);
  if (!sendIcmp(fd, target, echo(sequence))) throw new Error(`echo ${sequence} was not taken by the kernel`);
  if (order.oneByOne) await answers(() => !unanswered.has(sequence));
  else await delay(order.intervalMs);
  takeAnswers();
}
await answers(() => unanswered.size === 0);
closeIcmpSocket(fd);
console.log(JSON.stringify({ sent: order.count, unanswered: [...unanswered] }));

async function answers(enough: () => boolean): Promise<void> {
  const deadline = performance.now() + PATIENCE_MS;
  for (takeAnswers(); !enough() && performance.now() < deadline; takeAnswers()) await waitReadable([fd], 100);
}

function takeAnswers(): void {
  for (let octets = receiveIcmp(fd, received); octets > 0; octets = receiveIcmp(fd, received)) {
    const at = ((received[0] ?? 0) & 15) * 4;
    const view = new DataView(received.buffer, at, octets - at);
    if (received[at] === ECHO_REPLY && view.getUint16(4) === identifier) unanswered.delete(view.getUint16(6));
  }
}

function echo(sequence: number): Uint8Array {
  const message = new Uint8Array(8 + order.dataOctets).map((_, index) => index & 0xff);
  const view = new DataView(message.buffer);
  view.setUint32(0, ECHO_REQUEST << 24);
  view.setUint16(4, identifier);
  view.setUint16(6, sequence);
  view.setUint16(2, internetChecksum(message, 0, message.length));
  return message;
}
