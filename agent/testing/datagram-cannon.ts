import { createSocket, type Socket } from "node:dgram";
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { SeededRandom } from "./seeded-random.ts";

/**
 * Sends datagrams at a gateway: those given, as they are; or `mutations` of them by a seed; or with `truncations` every shorter beginning
 * of each. One JSON object on the first line of standard input, because datagrams are too many for arguments. Goes on only when the gateway has
 * taken what was sent, so that no socket overflows however busy the machine is, and ends when it has taken all.
 */
interface Order {
  readonly sources: readonly string[];
  readonly target: string;
  /** The gateway's process: its NAT-T socket is what is watched. */
  readonly targetProcess: number;
  readonly datagrams: readonly string[];
  readonly mutations: number;
  readonly truncations: boolean;
  readonly seed: number;
}

const SENDS_A_TURN = 200;
const MAXIMUM = 1_400;
const NAT_PORT = 4_500;

for await (const line of createInterface({ input: process.stdin })) {
  await fire(JSON.parse(line));
  break;
}

async function fire(order: Order): Promise<void> {
  const sockets = await Promise.all(order.sources.map(bound));
  let count = 0;
  let turn: Promise<void>[] = [];
  for (const datagram of ammunition(order)) {
    const socket = sockets[count % sockets.length];
    if (socket !== undefined) turn.push(sent(socket, datagram, order.target));
    if (++count % SENDS_A_TURN !== 0) continue;
    await Promise.all(turn);
    turn = [];
    await taken(order.targetProcess);
  }
  await Promise.all(turn);
  await taken(order.targetProcess);
  for (const socket of sockets) socket.close();
  console.log(JSON.stringify({ count }));
}

function sent(socket: Socket, datagram: Uint8Array, target: string): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.send(datagram, NAT_PORT, target, (error) => (error === null ? resolve() : reject(error)));
  });
}

/** Waits until nothing is left in the receive queue of that process's network namespace's NAT-T port (proc(5), /proc/net/udp). */
async function taken(process_: number): Promise<void> {
  const port = `:${NAT_PORT.toString(16).toUpperCase()}`;
  for (;;) {
    const sockets = readFileSync(`/proc/${process_}/net/udp`, "latin1").split("\n");
    const fields = sockets.map((line) => line.trim().split(/\s+/)).find((line) => line[1]?.endsWith(port));
    if (fields === undefined || fields[4]?.endsWith(":00000000")) return;
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

async function bound(address: string) {
  const socket = createSocket("udp4");
  await new Promise<void>((resolve) => socket.bind({ address, port: 0 }, resolve));
  return socket;
}

function* ammunition(order: Order): Generator<Uint8Array> {
  const originals = order.datagrams.map((hex) => new Uint8Array(Buffer.from(hex, "hex")));
  if (order.truncations) for (const original of originals) for (let length = 0; length < original.length; length++) yield original.subarray(0, length);
  const random = new SeededRandom(order.seed);
  const below = (limit: number) => Math.floor(random.next() * limit);
  for (let i = 0; i < order.mutations; i++) yield mutated(originals[below(originals.length)] ?? new Uint8Array(0), below, random);
  if (!order.truncations && order.mutations === 0) yield* originals;
}

/** Always another datagram than the original. */
function mutated(original: Uint8Array, below: (limit: number) => number, random: SeededRandom): Uint8Array {
  switch (below(4)) {
    case 0:
      return original.slice(0, below(original.length));
    case 1: {
      // Right SPI, made-up rest: the sequence number may be far ahead.
      const length = 4 + below(MAXIMUM);
      return new Uint8Array([...original.subarray(0, 4), ...random.bytes(length)]);
    }
    case 2:
      return new Uint8Array([...original, ...random.bytes(1 + below(100))]);
    default: {
      const copy = original.slice();
      const at = below(copy.length);
      copy[at] = (copy[at] ?? 0) ^ (1 + below(255));
      return copy;
    }
  }
}
