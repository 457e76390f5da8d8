import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Arena } from "./arena.ts";

describe("the sum of an arena's octets", () => {
  const arena = new Arena(1 << 18);
  const base = arena.allocate(70_000);

  /** RFC 1071 §4.1, as it stands there. */
  function naiveSum(octets: Uint8Array): number {
    let sum = 0;
    for (let index = 0; index < octets.length; index += 2) sum += ((octets[index] ?? 0) << 8) | (octets[index + 1] ?? 0);
    while (sum > 0xffff) sum = (sum & 0xffff) + Math.floor(sum / 0x10000);
    return sum;
  }

  it("is the naive sum of any octets at any offset", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 1_600 }), fc.nat(63), (octets, shift) => {
        arena.bytes.set(octets, base + shift);
        expect(arena.sum(base + shift, octets.length)).toBe(naiveSum(octets));
      }),
      { numRuns: 2_000 },
    );
  });

  it("is the same of octets that are copied, and each of them arrives, with none beside them", () => {
    const to = arena.allocate(2_000);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 1_600 }), fc.nat(63), fc.nat(63), (octets, shift, shiftTo) => {
        arena.bytes.set(octets, base + shift);
        const expected = Buffer.alloc(2_000, 0xa5);
        arena.bytes.set(expected, to);
        expected.set(octets, shiftTo);
        expect(arena.copyAndSum(base + shift, octets.length, to + shiftTo)).toBe(naiveSum(octets));
        expect(expected.equals(arena.bytes.subarray(to, to + 2_000))).toBe(true);
      }),
      { numRuns: 300 },
    );
  });

  it("does not overflow on the longest packet of all ones", () => {
    for (const length of [65_535, 65_534, 65_472]) {
      const octets = new Uint8Array(length).fill(0xff);
      arena.bytes.set(octets, base);
      expect(arena.sum(base, length)).toBe(naiveSum(octets));
    }
  });

  it("is 0 of nothing and of zeros", () => {
    arena.bytes.fill(0, base, base + 200);
    for (const length of [0, 1, 64, 200]) expect(arena.sum(base, length)).toBe(0);
  });
});
