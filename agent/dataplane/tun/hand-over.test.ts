import { afterAll, describe, expect, test } from "vitest";
import type { EspSpi } from "../../wire/ikev2/message-types.ts";
import { SeededRandom } from "../../testing/seeded-random.ts";
import { Arena } from "../ffi/arena.ts";
import { libc } from "../ffi/native.ts";
import { openSocketPair } from "../ffi/socket-pair.ts";
import { readSockaddr, writeSockaddr } from "../ffi/udp-socket.ts";
import { Counter, CounterTable, GLOBAL_ROW } from "./counters.ts";
import { HANDED_HEADER_OCTETS, handedClass, handedStep, HandOver } from "./hand-over.ts";
import { ReceiveBatch } from "./receive-batch.ts";

const WORKERS = 3;
const ME = 1;
const arena = new Arena(4 << 20);
const pairs = Array.from({ length: WORKERS }, openSocketPair);
const counters = CounterTable.ofRows(2);
const sockets = { own: pairs[ME]!.from, toEach: pairs.map(({ into }) => into) };
const handOver = new HandOver(arena, sockets, ME, counters);
const batch = new ReceiveBatch(arena);
const dataAt = arena.allocate(1 << 20);
const nameAt = arena.allocate(64);

afterAll(() => {
  for (const { from, into } of pairs) for (const fd of [from, into]) libc.close(fd);
});

interface Handed {
  readonly remote: string;
  readonly outerClass: number;
  readonly octets: string;
}

/** What waits for this worker, datagram by datagram. */
function received(worker: number): Handed[] {
  const all: Handed[] = [];
  for (let count = batch.receive(pairs[worker]!.from); count > 0; count = batch.receive(pairs[worker]!.from)) {
    for (let index = 0; index < count; index++) {
      const headerAt = batch.dataAt(index);
      const end = headerAt + batch.octets(index);
      const { address, port } = readSockaddr(arena, headerAt);
      for (let at = headerAt + HANDED_HEADER_OCTETS; at < end; at += handedStep(arena, headerAt)) {
        const octets = Buffer.from(arena.bytes.slice(at, Math.min(end, at + handedStep(arena, headerAt)))).toString("hex");
        all.push({ remote: `${address} ${port}`, outerClass: handedClass(arena, headerAt), octets });
      }
    }
  }
  return all;
}

describe("packets of another worker's SAs", () => {
  test.each([1, 2, 3, 4, 5])("come to it one by one as they were, in order, and its own stay (seed %d)", (seed) => {
    const random = new SeededRandom(seed);
    const below = (limit: number) => Math.floor(random.next() * limit);
    const expected: Handed[][] = Array.from({ length: WORKERS }, () => []);
    for (let message = 0; message < 50; message++) {
      const remote = { address: message % 2 === 0 ? `192.0.2.${1 + message}` : `2001:db8::${1 + message}`, port: 4_500 + message };
      writeSockaddr(arena, nameAt, remote);
      const step = 8 + below(1_400);
      const datagrams = 1 + below(40);
      const outerClass = below(256);
      let at = dataAt;
      for (let datagram = 0; datagram < datagrams; datagram++) {
        // Runs, as a sender's workers make them; the last datagram may be shorter.
        const spi = (256 + Math.floor(datagram / (1 + below(5)))) as EspSpi;
        const octets = datagram === datagrams - 1 ? 8 + below(step - 7) : step;
        arena.bytes.set(random.bytes(octets), at);
        const handed = { remote: `${remote.address} ${remote.port}`, outerClass, octets: Buffer.from(arena.bytes.slice(at, at + octets)).toString("hex") };
        expect(handOver.takes(spi, at, at + octets, nameAt, outerClass)).toBe(spi % WORKERS !== ME);
        if (spi % WORKERS !== ME) expected[spi % WORKERS]!.push(handed);
        at += octets;
      }
      handOver.flush();
    }
    expect(Array.from({ length: WORKERS }, (_, worker) => received(worker))).toEqual(expected);
    expect(counters.get(GLOBAL_ROW, Counter.unsent)).toBe(0);
  });

  test("are counted as unsent when it does not take them", () => {
    const packets = 400;
    const octets = 65_000;
    for (let packet = 0; packet < packets; packet++) {
      handOver.takes(300 as EspSpi, dataAt, dataAt + octets, nameAt, 0);
      handOver.flush();
    }
    const taken = received(0).length;
    expect(taken).toBeGreaterThan(0);
    expect(taken).toBeLessThan(packets);
    expect(counters.get(GLOBAL_ROW, Counter.unsent)).toBe(packets - taken);
  });
});
