import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { SaLifetimes } from "../../ipsec/security-association.ts";
import { CounterTable } from "./counters.ts";
import { SaLifetime } from "./sa-lifetime.ts";

const maybe = (max: number) => fc.option(fc.integer({ min: 1, max }), { nil: undefined });
const limits: fc.Arbitrary<SaLifetimes> = fc
  .record({ softBytes: maybe(2_000), hardBytes: maybe(3_000), softPackets: maybe(20), hardPackets: maybe(30), softSeconds: maybe(20), hardSeconds: maybe(30) })
  .map((all) => Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined)));
const steps = fc.array(fc.oneof(fc.record({ octets: fc.nat(200) }), fc.record({ waitMs: fc.nat(3_000) })), { maxLength: 60 });

/** What is reached, worked out anew from the whole history. */
function naive(of: SaLifetimes, bytes: number, packets: number, seconds: number): "live" | "soft" | "hard" {
  const passed = (limit: number | undefined, used: number) => limit !== undefined && used >= limit;
  if (passed(of.hardBytes, bytes) || passed(of.hardPackets, packets) || passed(of.hardSeconds, seconds)) return "hard";
  return passed(of.softBytes, bytes) || passed(of.softPackets, packets) || passed(of.softSeconds, seconds) ? "soft" : "live";
}

const counters = CounterTable.ofRows(3);
const row = 1;

describe("SaLifetime", () => {
  it("tells of each limit once, at the packet or the moment that reaches it, and never of a soft one after a hard one", () => {
    fc.assert(
      fc.property(limits, steps, (of, taken) => {
        const began = 5_000;
        let now = began;
        const lifetime = new SaLifetime(counters, row, of, now);
        let [bytes, packets] = [0, 0];
        let before = naive({}, 0, 0, 0);
        for (const step of taken) {
          let asked = false;
          if ("waitMs" in step) {
            now += step.waitMs;
            asked = lifetime.nextAt <= now;
          } else {
            bytes += step.octets;
            packets++;
            asked = counters.use(row, step.octets, now) || lifetime.nextAt <= now;
          }
          const told = asked ? lifetime.advance(now) : null;
          const state = before === "hard" ? "hard" : naive(of, bytes, packets, (now - began) / 1_000);
          expect(told).toBe(state === before ? null : state);
          expect(counters.isOver(row)).toBe(state === "hard");
          before = state;
        }
      }),
      { numRuns: 1_000 },
    );
  });

  it("never asks to be looked at without limits", () => {
    const lifetime = new SaLifetime(counters, row, {}, 0);
    for (let i = 0; i < 1_000; i++) expect(counters.use(row, 65_535, i)).toBe(false);
    expect(lifetime.nextAt).toBe(Number.POSITIVE_INFINITY);
  });
});
