import { describe, expect, it } from "vitest";
import { configs, ManyLinks } from "../testing/many-links.ts";
import { MOST_DUE_REKEYS } from "./rekey-pace.ts";

const links = 2 * MOST_DUE_REKEYS + 10;
const childRekeyMs = 100_000;
/** Only `a` rekeys, and only Child SAs. */
const lifetimes = { ikeRekeyMs: 1_000_000_000, childRekeyMs };

describe("rekeys of many links that come due at the same moment", () => {
  it("are begun a bounded number at a time, and all of them happen", () => {
    const gateways = manyUp();
    gateways.now += childRekeyMs;
    const first = gateways.a.handle({ kind: "timer" }, gateways.now);
    // Nobody has answered yet.
    expect(requestsIn(first)).toBe(MOST_DUE_REKEYS);
    expect(requestsIn(gateways.a.handle({ kind: "timer" }, gateways.now + 500))).toBe(0);
    gateways.carry("a", first);
    for (let rounds = 0; rekeyed(gateways) < links; rounds++) {
      expect(rounds).toBeLessThan(2 * links);
      gateways.now = Math.max(gateways.now, gateways.a.nextTimer()?.at ?? Number.NaN);
      gateways.give("a", { kind: "timer" });
    }
    expect(gateways.events.filter(({ kind }) => kind === "failed")).toEqual([]);
  }, 120_000);

  it("are all begun when their end is near: none is lost for the sake of the others", () => {
    const gateways = manyUp();
    gateways.now += childRekeyMs * 1.1 + 12_000;
    expect(requestsIn(gateways.a.handle({ kind: "timer" }, gateways.now))).toBe(links);
  }, 120_000);
});

function manyUp(): ManyLinks {
  const gateways = new ManyLinks();
  for (let i = 0; i < links; i++) {
    const { a, b } = configs(i);
    gateways.give("b", { kind: "setLink", link: { ...b, ...lifetimes, childRekeyMs: 1_000_000_000 } });
    gateways.give("a", { kind: "setLink", link: { ...a, ...lifetimes } });
  }
  return gateways;
}

function requestsIn(effects: ReturnType<ManyLinks["give"]>): number {
  return effects.filter(({ kind }) => kind === "transmit").length;
}

function rekeyed({ events }: ManyLinks): number {
  return new Set(events.flatMap((event) => (event.kind === "childSaRekeyed" ? [event.linkId] : []))).size;
}
