import { afterAll, describe, expect, it } from "vitest";
import { partsIn, usualSa } from "../../testing/sa-parts.ts";
import { Arena } from "../ffi/arena.ts";
import { libc } from "../ffi/native.ts";
import { openUdpSocket } from "../ffi/udp-socket.ts";
import { CounterTable } from "./counters.ts";
import { makeTransmitSa } from "./outbound-sa.ts";
import { ReceiveBatch } from "./receive-batch.ts";
import { TransmitBatch } from "./transmit-batch.ts";

/* From one socket to another over loopback, of each family: what the kernel makes of the control messages. */
const PORT = 20_000 + (process.pid % 20_000);
const sender = { four: openUdpSocket(4, PORT) ?? -1, six: openUdpSocket(6, PORT) };
const receiver = { four: openUdpSocket(4, PORT + 1) ?? -1, six: openUdpSocket(6, PORT + 1) };

afterAll(() => {
  for (const fd of [...Object.values(sender), ...Object.values(receiver)]) if (fd !== null) libc.close(fd);
});

const families = [
  { name: "IPv4", address: "127.0.0.1", fd: receiver.four },
  { name: "IPv6", address: "::1", fd: receiver.six },
].flatMap(({ fd, ...family }) => (fd === null ? [] : [{ ...family, fd }]));

describe("the outer traffic class", () => {
  it.each(families)("is each packet's own over $name, and packets of one class still travel as one message", ({ address, fd }) => {
    const arena = new Arena(16 << 20);
    const batch = new TransmitBatch(arena, [sender.four, sender.six], CounterTable.ofRows(2), null);
    const sa = makeTransmitSa(
      partsIn(arena),
      {
        ...usualSa,
        direction: "outbound",
        local: { address, port: PORT },
        remote: { address, port: PORT + 1 },
      },
      1,
      1_500,
    );
    const expedited = 0xb8;
    const marked = 0x03;
    for (const [octets, trafficClass] of [
      [1_000, 0],
      [1_000, 0],
      [1_000, expedited],
      [1_000, marked],
      [1_000, marked],
      [400, marked],
      [1_000, 0],
    ] as const) {
      arena.bytes.fill(trafficClass, batch.reserve(octets), batch.reserve(octets) + octets);
      batch.commit(sa, octets, trafficClass);
    }
    batch.flush();
    const received = new ReceiveBatch(arena);
    const messages = Array.from({ length: received.receive(fd) }, (_, index) => {
      received.readControl(index);
      const data = arena.bytes.subarray(received.dataAt(index), received.dataAt(index) + received.octets(index));
      expect(new Set(data)).toEqual(new Set([received.control.trafficClass]));
      return [received.octets(index), received.control.segmentOctets, received.control.trafficClass];
    });
    expect(messages).toEqual([
      [2_000, 1_000, 0],
      [1_000, 0, expedited],
      [2_400, 1_000, marked],
      [1_000, 0, 0],
    ]);
  });
});
