import { deepStrictEqual } from "node:assert/strict";
import { test } from "vitest";
import type { EspSpi } from "../../wire/ikev2/message-types.ts";
import { Arena } from "../ffi/arena.ts";
import { EARLY_PACKET_MS, EarlyPackets } from "./early-packets.ts";

const spi = 0x01020304 as EspSpi;
const other = 0x0a0b0c0d as EspSpi;

function setUp() {
  const arena = new Arena(1 << 20);
  const early = new EarlyPackets(arena);
  const input = arena.allocate(4_096);
  const name = arena.allocate(64);
  const keep = (of: EspSpi, mark: number, now: number, octets = 100, protocol: "esp" | "ah" = "esp") => {
    arena.view.setUint32(input, of);
    arena.bytes.fill(mark, input + 4, input + octets);
    arena.bytes.fill(mark, name, name + 64);
    early.keep(protocol, of, input, input + octets, name, mark + 100, now);
  };
  const take = (of: EspSpi, now: number, protocol: "esp" | "ah" = "esp", meanwhile = () => {}) => {
    const taken: number[][] = [];
    early.take(protocol, of, now, (start, end, nameAt, outerClass) => {
      taken.push([end - start, arena.bytes[start + 4]!, arena.bytes[end - 1]!, arena.bytes[nameAt]!, outerClass]);
      meanwhile();
    });
    return taken;
  };
  return { keep, take };
}

test("hands over what came for an SPI in the order of arrival, once, with its sender and traffic class, and leaves other SPIs", () => {
  const { keep, take } = setUp();
  keep(spi, 1, 1_000);
  keep(other, 2, 1_001);
  keep(spi, 3, 1_002, 120);
  deepStrictEqual(take(spi, 1_010), [
    [100, 1, 1, 1, 101],
    [120, 3, 3, 3, 103],
  ]);
  deepStrictEqual(take(spi, 1_010), []);
  deepStrictEqual(take(other, 1_010), [[100, 2, 2, 2, 102]]);
});

test("forgets a packet after a second", () => {
  const { keep, take } = setUp();
  keep(spi, 1, 1_000);
  keep(spi, 2, 1_500);
  deepStrictEqual(take(spi, 1_001 + EARLY_PACKET_MS), [[100, 2, 2, 2, 102]]);
});

test("keeps the last 64 under a flood, in the order of arrival", () => {
  const { keep, take } = setUp();
  for (let index = 0; index < 100; index++) keep(spi, index, 1_000);
  deepStrictEqual(
    take(spi, 1_000).map(([, mark]) => mark),
    Array.from({ length: 64 }, (_, index) => 36 + index),
  );
});

test("does not keep what is larger than a slot", () => {
  const { keep, take } = setUp();
  keep(spi, 1, 1_000, 2_049);
  keep(spi, 2, 1_000, 2_048);
  deepStrictEqual(take(spi, 1_000), [[2_048, 2, 2, 2, 102]]);
});

test("hands over ESP for ESP and AH for AH: each is read by where its own SPI stands", () => {
  const { keep, take } = setUp();
  keep(spi, 1, 1_000, 100, "esp");
  keep(spi, 2, 1_000, 100, "ah");
  deepStrictEqual(take(spi, 1_000, "ah"), [[100, 2, 2, 2, 102]]);
  deepStrictEqual(take(spi, 1_000, "esp"), [[100, 1, 1, 1, 101]]);
});

test("keeps nothing while packets are being taken: it could take the place of one that was opened there and has yet to be written", () => {
  const { keep, take } = setUp();
  for (let index = 0; index < 64; index++) keep(spi, index, 1_000);
  const taken = take(spi, 1_000, "esp", () => keep(other, 200, 1_000));
  deepStrictEqual(
    taken.map(([, mark]) => mark),
    Array.from({ length: 64 }, (_, index) => index),
  );
  deepStrictEqual(take(other, 1_000), []);
  keep(other, 7, 1_000);
  deepStrictEqual(take(other, 1_000), [[100, 7, 7, 7, 107]]);
});
