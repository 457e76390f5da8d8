import { afterAll, expect, test } from "vitest";
import { ReceiveBatch } from "../tun/receive-batch.ts";
import { Arena } from "./arena.ts";
import { libc } from "./native.ts";
import { DatagramSender, type Family, openUdpSocket, openUdpSockets } from "./udp-socket.ts";

const PORT = 24_500;
const WORKERS = 3;
const arena = new Arena(4 << 20);
const batch = new ReceiveBatch(arena);
const sender = new DatagramSender();
const open: number[] = [];
/** A machine without IPv6 has one. */
const families = ([4, 6] as const).filter((family) => {
  const fd = openUdpSocket(family, 0);
  if (fd !== null) libc.close(fd);
  return fd !== null;
});

afterAll(() => {
  for (const fd of open) libc.close(fd);
});

/** Each socket's datagrams, by their number in the last octet. */
function sortedByKernel(family: Family, datagrams: readonly Uint8Array[]): number[][] {
  const loopback = family === 4 ? "127.0.0.1" : "::1";
  const group = openUdpSockets(family, PORT, WORKERS)!;
  const from = openUdpSocket(family, PORT + 1)!;
  open.push(...group, from);
  for (const datagram of datagrams) expect(sender.send(from, loopback, { address: loopback, port: PORT }, datagram)).toBe(true);
  return group.map((fd) => {
    const numbers: number[] = [];
    for (let count = batch.receive(fd); count > 0; count = batch.receive(fd))
      for (let index = 0; index < count; index++) numbers.push(arena.bytes[batch.dataAt(index) + batch.octets(index) - 1]!);
    return numbers;
  });
}

function espOf(spi: number, number: number): Uint8Array {
  // Sizes that differ: two datagrams of one size could come as one message.
  const datagram = new Uint8Array(40 + number);
  new DataView(datagram.buffer).setUint32(0, spi);
  datagram[datagram.length - 1] = number;
  return datagram;
}

test.each(families)("over IPv%d the kernel gives ESP to the socket of its SPI's worker, IKE and keepalives to the first", (family) => {
  const spis = [256, 257, 258, 0xffff_ffff, 0x8000_0000, 0x1234_5678, 259];
  const marked = espOf(0, 7);
  const seen = sortedByKernel(family, [...spis.map(espOf), marked, Uint8Array.of(0xff)]);
  const expected = Array.from({ length: WORKERS }, (_, worker) => spis.flatMap((spi, index) => (spi % WORKERS === worker ? [index] : [])));
  expected[0]!.push(7, 0xff);
  expect(seen).toEqual(expected);
});

test("sockets of one port share it with nobody else", () => {
  const group = openUdpSockets(4, PORT + 2, WORKERS)!;
  open.push(...group);
  expect(() => openUdpSockets(4, PORT + 2, WORKERS)).toThrow("is in use by another program");
  expect(() => openUdpSocket(4, PORT + 2)).toThrow("is in use by another program");
});
