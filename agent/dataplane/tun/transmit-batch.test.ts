import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from "vitest";
import type { OutboundSa } from "../../ipsec/security-association.ts";
import { staticKeys } from "../../testing/static-keys.ts";
import type { EspSpi } from "../../wire/ikev2/message-types.ts";
import { partsIn, usualSa } from "../../testing/sa-parts.ts";
import { Arena } from "../ffi/arena.ts";
import { Errno, libc } from "../ffi/native.ts";
import { openUdpSocket } from "../ffi/udp-socket.ts";
import { CounterTable } from "./counters.ts";
import { makeTransmitSa, type TransmitSa } from "./outbound-sa.ts";
import { TransmitBatch } from "./transmit-batch.ts";

/** The error of the last call that was refused here; 0: the kernel's own. */
const refusal = vi.hoisted(() => ({ code: 0 }));
vi.mock(import("../ffi/native.ts"), async (load) => {
  const native = await load();
  return { ...native, errno: () => (refusal.code === 0 ? native.errno() : refusal.code) };
});

const arena = new Arena(64 << 20);
const { sendmmsg, sendmsg } = libc;
let receiver: Socket;
let fd: number;
/** What the batch has asked the kernel for since the last look: messages by `sendmmsg`, datagrams by themselves. */
let messages = 0;
let singles = 0;
/** With which errors the kernel refuses what it is asked for next; 0, or none: it does not. */
let refusals: number[] = [];
let singleRefusals: number[] = [];

function refused(queue: number[]): boolean {
  refusal.code = queue.shift() ?? 0;
  return refusal.code !== 0;
}

beforeAll(async () => {
  receiver = createSocket("udp4");
  receiver.bind(0, "127.0.0.1");
  await once(receiver, "listening");
  Object.assign(libc, {
    sendmmsg: (fd: number, at: number, count: number, flags: number) => {
      messages += count;
      return refused(refusals) ? -1 : sendmmsg(fd, at, count, flags);
    },
    sendmsg: (fd: number, at: number, flags: number) => {
      singles++;
      return refused(singleRefusals) ? -1 : sendmsg(fd, at, flags);
    },
  });
});

beforeEach(() => {
  fd = openUdpSocket(4, 0)!;
  messages = singles = 0;
  refusals = [];
  singleRefusals = [];
});

afterEach(() => {
  libc.close(fd);
  receiver.removeAllListeners("message");
});

afterAll(() => {
  Object.assign(libc, { sendmmsg, sendmsg });
  receiver.close();
});

/** So many of what comes next: its first octet, which is the SA's row, and its length. */
function arrivals(count: number): Promise<number[][]> {
  const arrived: number[][] = [];
  return new Promise((resolve) =>
    receiver.on("message", (bytes) => {
      arrived.push([bytes[0] ?? 0, bytes.length]);
      if (arrived.length === count) resolve(arrived);
    }),
  );
}

/** What was asked for since this was asked last. */
function asked(): { messages: number; singles: number } {
  const since = { messages, singles };
  messages = singles = 0;
  return since;
}

function saOf(row: number, port: number): TransmitSa {
  const spi = (0x1000 + row) as EspSpi;
  const sa: OutboundSa = {
    ...usualSa,
    direction: "outbound",
    spi,
    keys: staticKeys("aes128gcm16", spi),
    local: { address: "127.0.0.1", port: 4_500 },
    remote: { address: "127.0.0.1", port },
  };
  return makeTransmitSa(partsIn(arena), sa, row, 1_500);
}

function put(batch: TransmitBatch, sa: TransmitSa, octets: number): void {
  const at = batch.reserve(octets);
  arena.bytes.fill(sa.row, at, at + octets);
  batch.commit(sa, octets, 0);
}

test("packets of several SAs to one endpoint leave in one message and arrive one by one, in order; those to another endpoint in their own", async () => {
  const { port } = receiver.address();
  const sas = [saOf(1, port), saOf(2, port), saOf(3, 9)];
  const batch = new TransmitBatch(arena, [fd], CounterTable.ofRows(4), null);
  const arrived = arrivals(8);
  for (const row of [1, 2, 1, 1, 2, 2]) put(batch, sas[row - 1]!, 100);
  put(batch, sas[2]!, 100);
  for (const row of [2, 1]) put(batch, sas[row - 1]!, 100);
  batch.flush();
  expect(asked()).toEqual({ messages: 3, singles: 0 });
  expect(await arrived).toEqual([1, 2, 1, 1, 2, 2, 2, 1].map((row) => [row, 100]));
});

test.each([
  ["EINVAL", Errno.EINVAL],
  ["EMSGSIZE", Errno.EMSGSIZE],
])("a message whose datagrams are too large for the interface (%s) leaves as single datagrams, and the next as one message again", async (_, code) => {
  const counters = CounterTable.ofRows(4);
  const [one, other] = [saOf(1, receiver.address().port), saOf(2, receiver.address().port)];
  const batch = new TransmitBatch(arena, [fd], counters, null);
  const arrived = arrivals(7);
  refusals = [code];
  for (const sa of [one, other, one]) put(batch, sa, 100);
  put(batch, other, 60);
  batch.flush();
  expect(asked()).toEqual({ messages: 1, singles: 4 });
  for (const sa of [one, one, other]) put(batch, sa, 100);
  batch.flush();
  expect(asked()).toEqual({ messages: 1, singles: 0 });
  expect(await arrived).toEqual([...[1, 2, 1].map((row) => [row, 100]), [2, 60], ...[1, 1, 2].map((row) => [row, 100])]);
  expect([1, 2].map((row) => counters.drops(row))).toMatchObject(Array(2).fill({ tooBig: 0, unsent: 0 }));
});

test("where the interface cannot cut, datagrams leave one by one for a minute, and then as a message again", async () => {
  const counters = CounterTable.ofRows(4);
  const sa = saOf(1, receiver.address().port);
  let now = 5_000;
  const batch = new TransmitBatch(arena, [fd], counters, null, undefined, () => now);
  const arrived = arrivals(9);
  const three = () => {
    for (let i = 0; i < 3; i++) put(batch, sa, 100);
    batch.flush();
    return asked();
  };
  refusals = [Errno.EIO];
  expect(three()).toEqual({ messages: 1, singles: 3 });
  now += 59_999;
  expect(three()).toEqual({ messages: 0, singles: 3 });
  now += 1;
  expect(three()).toEqual({ messages: 1, singles: 0 });
  expect(await arrived).toEqual(Array(9).fill([1, 100]));
  expect(counters.drops(1)).toMatchObject({ tooBig: 0, unsent: 0 });
});

test("of what is refused by itself too, each datagram is counted for its own SA and its own cause", () => {
  const counters = CounterTable.ofRows(4);
  const [one, other] = [saOf(1, 9), saOf(2, 9)];
  const batch = new TransmitBatch(arena, [fd], counters, null);
  refusals = [Errno.EMSGSIZE];
  singleRefusals = [0, Errno.EMSGSIZE, Errno.EACCES];
  for (const sa of [one, other, one]) put(batch, sa, 100);
  batch.flush();
  expect([1, 2].map((row) => counters.drops(row))).toMatchObject([
    { tooBig: 0, unsent: 1 },
    { tooBig: 1, unsent: 0 },
  ]);
  // A single datagram that is too large stays so.
  refusals = [Errno.EMSGSIZE];
  put(batch, one, 100);
  batch.flush();
  expect(counters.drops(1)).toMatchObject({ tooBig: 1, unsent: 1 });
});

test.each([
  ["EAGAIN", Errno.EAGAIN],
  ["ENOBUFS", Errno.ENOBUFS],
])("a full socket (%s) is waited for, and what it does not take in ten waits is counted", async (_, code) => {
  const counters = CounterTable.ofRows(4);
  const [one, other] = [saOf(1, receiver.address().port), saOf(2, receiver.address().port)];
  let waits = 0;
  const batch = new TransmitBatch(arena, [fd], counters, null, () => {
    waits++;
  });
  const arrived = arrivals(4);
  refusals = [code, Errno.EINTR, code];
  for (let i = 0; i < 2; i++) put(batch, one, 100);
  batch.flush();
  expect(waits).toBe(2);
  refusals = Array(11).fill(code);
  put(batch, other, 100);
  batch.flush();
  expect(waits).toBe(2 + 10);
  // The same of datagrams that go by themselves.
  refusals = [Errno.EINVAL];
  singleRefusals = [code, Errno.EINTR, 0, ...Array(10).fill(code)];
  for (const sa of [one, other, one]) put(batch, sa, 100);
  batch.flush();
  expect(await arrived).toEqual(Array(4).fill([1, 100]));
  expect([1, 2].map((row) => counters.drops(row).unsent)).toEqual([0, 2]);
});

test("the 64th message, and a packet that has no room behind the others, send what there is", () => {
  const [one, other] = [saOf(1, 9), saOf(2, 10)];
  const batch = new TransmitBatch(arena, [fd], CounterTable.ofRows(4), null);
  for (let i = 0; i < 63; i++) put(batch, i % 2 === 0 ? one : other, 100);
  expect(asked().messages).toBe(0);
  put(batch, other, 100);
  expect(asked().messages).toBe(64);
  expect(batch.octets).toBe(0);
  for (let i = 0; i < 63; i++) put(batch, one, 65_000);
  expect(asked().messages).toBe(0);
  const first = batch.reserve(100_000);
  expect(asked().messages).toBe(63);
  expect(batch.octets).toBe(0);
  expect(batch.reserve(100)).toBe(first);
});

test("what the kernel does not take is counted for the SA that it is of", () => {
  const counters = CounterTable.ofRows(4);
  const [one, other] = [saOf(1, 9), saOf(2, 9)];
  const batch = new TransmitBatch(arena, [null], counters, null);
  for (const sa of [one, other, one, one, other]) put(batch, sa, 100);
  batch.flush();
  // Nothing of an earlier batch is counted again.
  put(batch, other, 100);
  batch.flush();
  expect([1, 2].map((row) => counters.drops(row).unsent)).toEqual([3, 3]);
});
