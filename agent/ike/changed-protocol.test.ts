import { describe, expect, it } from "vitest";
import { watchFlow } from "../testing/flow-watch.ts";
import { establishedPair, linkConfigs, type Pair, type Side } from "../testing/pair.ts";
import type { LinkConfig } from "./endpoint-types.ts";

/* A link's proposals change at both ends, never at the same instant: until the second has heard, it refuses what the first asks for. */

const after: Partial<LinkConfig> = { ahProposals: ["sha256-x25519"] };
const gaps = [0, 1, 5, 10, 15, 20, 25, 30, 35, 40, 45, 50, 60, 70, 80, 100, 200, 400, 1_000, 3_000, 20_000];

function change(pair: Pair, first: "a" | "b", gapMs: number): void {
  const links = linkConfigs({ both: after, b: { initiate: "respond" } });
  const second = first === "a" ? "b" : "a";
  pair.give(pair[first], { kind: "setLink", link: links[first] });
  pair.run(gapMs);
  pair.give(pair[second], { kind: "setLink", link: links[second] });
}

function protocolsOf(side: Side): string[] {
  return side.link().ikeSas.flatMap((sa) => sa.children.map((child) => child.protocol));
}

function idsOf(pair: Pair): string[][] {
  return [pair.a, pair.b].map((side) => side.link().ikeSas.map((sa) => sa.id));
}

describe("a link that changes from ESP to AH", () => {
  for (const first of ["a", "b"] as const) {
    it(`has AH alone 3 s after both ends have heard, whichever was first and however much earlier, without a packet lost (${first} first)`, () => {
      for (const gapMs of gaps) {
        const pair = establishedPair(gapMs + 1, { b: { initiate: "respond" } });
        pair.run(1_000);
        const losses = watchFlow(pair);
        change(pair, first, gapMs);
        pair.run(3_000);
        expect([gapMs, protocolsOf(pair.a), protocolsOf(pair.b)]).toEqual([gapMs, ["ah"], ["ah"]]);
        const made = idsOf(pair);
        pair.run(60_000);
        // Nobody has replaced it once more.
        expect([gapMs, idsOf(pair)]).toEqual([gapMs, made]);
        expect([gapMs, losses]).toEqual([gapMs, []]);
        expect([...pair.a.bookkeeping, ...pair.b.bookkeeping]).toEqual([]);
      }
    });

    it(`may be rekeyed from either end at any time meanwhile (${first} first)`, () => {
      for (const gapMs of gaps) {
        for (const who of ["a", "b"] as const) {
          const pair = establishedPair(gapMs + 1, { b: { initiate: "respond" } });
          pair.run(1_000);
          const losses = watchFlow(pair);
          const rekeyAt = pair.clock.now() + gapMs + 25;
          for (let rekeys = 0; rekeys < 4; rekeys++)
            pair.schedule(rekeyAt + 30 * rekeys, () => pair.give(pair[who], { kind: "rekey", linkId: "link", what: "child" }));
          change(pair, first, gapMs);
          pair.run(40_000);
          expect([gapMs, who, protocolsOf(pair.a), protocolsOf(pair.b)]).toEqual([gapMs, who, ["ah"], ["ah"]]);
          expect([gapMs, who, losses]).toEqual([gapMs, who, []]);
        }
      }
    });
  }

  it("keeps ESP as long as the other end has not heard, with one IKE SA that carries it, and says why", () => {
    const pair = establishedPair(1);
    pair.run(1_000);
    const losses = watchFlow(pair);
    pair.give(pair.a, { kind: "setLink", link: linkConfigs({ both: after }).a });
    for (let seconds = 0; seconds < 60; seconds++) {
      pair.run(1_000);
      const carrying = pair.b.link().ikeSas.filter((sa) => sa.children.length > 0);
      expect(carrying.map((sa) => sa.children.map((child) => child.protocol))).toEqual([["esp"]]);
    }
    expect(losses).toEqual([]);
    expect(pair.a.link().lastFailure?.sentence).toBe("The peer accepts none of the AH proposals that this side offered: sha256.");
    expect(pair.b.link().lastFailure?.sentence).toBe("The peer offers AH; this side allows ESP only.");
  });
});
