import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { inferSequenceNumber, ReplayWindow } from "./replay-window.ts";

describe("ReplayWindow", () => {
  it("agrees with a set of all numbers seen, for any order of arrival and size", () => {
    const steps = fc.array(fc.oneof(fc.integer({ min: -80, max: 40 }), fc.integer({ min: -5000, max: 6000 })), { maxLength: 400 });
    fc.assert(
      fc.property(fc.integer({ min: 64, max: 4096 }), fc.constantFrom(0, 2 ** 32 - 50, 2 ** 45), steps, (size, base, moves) => {
        const window = new ReplayWindow(size);
        const seen = new Set<number>();
        let highest = 0;
        let position = base;
        for (const move of moves) {
          position = Math.max(0, position + move);
          const fresh = position > 0 && position > highest - size && !seen.has(position);
          expect(window.check(position)).toBe(fresh);
          if (!fresh) continue;
          window.mark(position);
          seen.add(position);
          highest = Math.max(highest, position);
        }
        expect(window.highest).toBe(highest);
      }),
      { numRuns: 300 },
    );
  });

  it("keeps to its place in words that it shares with others", () => {
    fc.assert(
      fc.property(fc.integer({ min: 64, max: 4096 }), fc.nat(9), fc.array(fc.integer({ min: -100, max: 9_000 }), { maxLength: 60 }), (size, at, moves) => {
        const length = ReplayWindow.wordsOf(size);
        const words = new Uint32Array(at + length + 10).fill(0xa5a5_a5a5);
        words.fill(0, at, at + length);
        const [shared, own] = [new ReplayWindow(size, words, at), new ReplayWindow(size)];
        let position = 0;
        for (const move of moves) {
          position = Math.max(1, position + move);
          const isFresh = own.check(position);
          expect(shared.check(position)).toBe(isFresh);
          if (!isFresh) continue;
          own.mark(position);
          shared.mark(position);
        }
        expect([...words.subarray(0, at), ...words.subarray(at + length)].every((word) => word === 0xa5a5_a5a5)).toBe(true);
      }),
      { numRuns: 300 },
    );
  });

  it("does not move when a packet is only checked", () => {
    const window = new ReplayWindow(64);
    expect(window.check(1_000_000)).toBe(true);
    expect(window.highest).toBe(0);
    expect(window.check(1)).toBe(true);
  });

  it("rejects a replayed sequence number after the window moves", () => {
    const window = new ReplayWindow(64);
    window.mark(1);
    window.mark(64);
    expect(window.check(1)).toBe(false);
    window.mark(65);
    expect([window.check(1), window.check(2), window.check(66)]).toEqual([false, true, true]);
  });

  it.each([0, 63, 4097, 64.5])("refuses a window of %d packets", (size) => expect(() => new ReplayWindow(size)).toThrow(RangeError));
});

describe("extended sequence numbers (RFC 4303 appendix A2)", () => {
  it("finds any number that is in the window or less than 2^32 minus the window ahead", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 64, max: 4096 }),
        fc.integer({ min: 1, max: 2 ** 50 }),
        fc.integer({ min: 0, max: 2 ** 32 - 1 }),
        (size, highest, ahead) => {
          const sequence = highest - size + 1 + ahead;
          fc.pre(sequence > 0);
          expect(inferSequenceNumber(sequence % 2 ** 32, highest, size)).toBe(sequence);
        },
      ),
    );
  });

  it("gives -1 for a number before the first packet", () => {
    expect(inferSequenceNumber(2 ** 32 - 1, 10, 64)).toBe(-1);
  });
});
