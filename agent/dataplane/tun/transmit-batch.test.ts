import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { OutboundSa } from "../../ipsec/security-association.ts";
import { staticKeys } from "../../testing/static-keys.ts";
import type { EspSpi } from "../../wire/ikev2/message-types.ts";
import { partsIn, usualSa } from "../../testing/sa-parts.ts";
import { Arena } from "../ffi/arena.ts";
import { libc } from "../ffi/native.ts";
import { openUdpSocket } from "../ffi/udp-socket.ts";
import { CounterTable } from "./counters.ts";
import { makeTransmitSa, type TransmitSa } from "./outbound-sa.ts";
import { TransmitBatch } from "./transmit-batch.ts";

const arena = new Arena(12 << 20);
const sendmmsg = libc.sendmmsg;
let receiver: Socket;
let messages = 0;

beforeAll(async () => {
  receiver = createSocket("udp4");
  receiver.bind(0, "127.0.0.1");
  await once(receiver, "listening");
  Object.assign(libc, {
    sendmmsg: (fd: number, at: number, count: number, flags: number) => {
      messages += count;
      return sendmmsg(fd, at, count, flags);
    },
  });
});

afterAll(() => {
  Object.assign(libc, { sendmmsg });
  receiver.close();
});

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
  const fd = openUdpSocket(4, 0);
  expect(fd).not.toBeNull();
  const { port } = receiver.address();
  const sas = [saOf(1, port), saOf(2, port), saOf(3, 9)];
  const batch = new TransmitBatch(arena, [fd], CounterTable.ofRows(4), null);
  const arrived: number[][] = [];
  const all = new Promise<void>((resolve) =>
    receiver.on("message", (bytes) => {
      arrived.push([bytes[0] ?? 0, bytes.length]);
      if (arrived.length === 8) resolve();
    }),
  );
  for (const row of [1, 2, 1, 1, 2, 2]) put(batch, sas[row - 1]!, 100);
  put(batch, sas[2]!, 100);
  for (const row of [2, 1]) put(batch, sas[row - 1]!, 100);
  messages = 0;
  batch.flush();
  expect(messages).toBe(3);
  await all;
  expect(arrived).toEqual([1, 2, 1, 1, 2, 2, 2, 1].map((row) => [row, 100]));
  libc.close(fd!);
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
