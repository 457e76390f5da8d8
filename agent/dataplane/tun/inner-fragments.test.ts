import { describe, expect, test } from "vitest";
import { SeededRandom } from "../../testing/seeded-random.ts";
import { internetChecksum } from "../../wire/checksum.ts";
import { readU16, writeU16 } from "../../wire/octets.ts";
import { Arena } from "../ffi/arena.ts";
import { fragmentIpv4 } from "./inner-fragments.ts";

const seed = Number(process.env["TEST_SEED"] ?? Date.now() % 2 ** 32);

function packetOf(dataOctets: number, field: number, random: SeededRandom): Uint8Array {
  const packet = new Uint8Array(20 + dataOctets);
  packet.set([0x45, 0x28, 0, 0, 0xab, 0xcd, 0, 0, 63, 17, 0, 0, 10, 1, 0, 1, 10, 2, 0, 1]);
  writeU16(packet, 2, packet.length);
  writeU16(packet, 6, field);
  packet.set(random.bytes(dataOctets), 20);
  writeU16(packet, 10, internetChecksum(packet, 0, 20));
  return packet;
}

function cut(packet: Uint8Array, largest: number): Uint8Array[] {
  const arena = new Arena(1 << 20);
  const start = arena.allocate(packet.length);
  arena.bytes.set(packet, start);
  const pieces: Uint8Array[] = [];
  fragmentIpv4(
    arena,
    start,
    packet.length,
    largest,
    (octets) => arena.allocate(octets),
    (at, octets) => {
      pieces.push(arena.bytes.slice(at, at + octets));
      return true;
    },
  );
  return pieces;
}

describe(`fragments of inner packets, seed ${seed}`, () => {
  test("have all of a packet's octets at their offsets, headers with right checksums, and none is too large", () => {
    const random = new SeededRandom(seed);
    for (let round = 0; round < 500; round++) {
      const largest = 68 + Math.floor(random.next() * 1_432);
      const dataOctets = largest + Math.floor(random.next() * 8_000);
      // The packet may be a fragment: one that is followed by others has whole units of 8 octets.
      const isFollowed = random.next() < 0.5;
      const before = Math.floor(random.next() * 1_000);
      const packet = packetOf(isFollowed ? dataOctets & ~7 : dataOctets, (isFollowed ? 0x2000 : 0) | before, random);
      const pieces = cut(packet, largest);
      const whole = new Uint8Array(packet.length - 20);
      let covered = 0;
      for (const [index, piece] of pieces.entries()) {
        expect(piece.length).toBeLessThanOrEqual(largest);
        expect(readU16(piece, 2)).toBe(piece.length);
        expect(internetChecksum(piece, 0, 20)).toBe(0);
        // All but lengths, flags and offset, and the checksum is the packet's own.
        for (const [from, to] of [
          [0, 2],
          [4, 6],
          [8, 10],
          [12, 20],
        ] as const)
          expect(piece.subarray(from, to)).toEqual(packet.subarray(from, to));
        const field = readU16(piece, 6);
        expect((field & 0x2000) !== 0).toBe(index < pieces.length - 1 || isFollowed);
        whole.set(piece.subarray(20), ((field & 0x1fff) - before) * 8);
        covered += piece.length - 20;
      }
      expect(covered).toBe(whole.length);
      expect(whole).toEqual(packet.subarray(20));
    }
  });

  test("are no more once what takes them says so", () => {
    const random = new SeededRandom(seed);
    const arena = new Arena(1 << 18);
    const packet = packetOf(4_000, 0, random);
    const start = arena.allocate(packet.length);
    arena.bytes.set(packet, start);
    let taken = 0;
    fragmentIpv4(
      arena,
      start,
      packet.length,
      1_000,
      (octets) => arena.allocate(octets),
      () => ++taken < 2,
    );
    expect(taken).toBe(2);
  });
});
