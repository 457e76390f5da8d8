import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { watchFlow } from "../testing/flow-watch.ts";
import { establishedPair, linkConfigs, Pair } from "../testing/pair.ts";
import { searchMs, searchSize } from "../testing/search-size.ts";

const SEARCH = searchSize(150);

/** Both ends hold one IKE SA and one Child SA, the same ones, and the planes hold nothing else. */
function settled(pair: Pair): boolean {
  const [a, b] = [pair.a.link(), pair.b.link()];
  const [saA, saB] = [a.ikeSas[0], b.ikeSas[0]];
  if (a.ikeSas.length !== 1 || b.ikeSas.length !== 1 || saA === undefined || saB === undefined) return false;
  if (saA.spiI !== saB.spiI || saA.spiR !== saB.spiR || saA.children.length !== 1 || saB.children.length !== 1) return false;
  const [childA, childB] = [saA.children[0]!, saB.children[0]!];
  const isPaired = childA.inboundSpi === childB.outboundSpi && childA.outboundSpi === childB.inboundSpi;
  return isPaired && [pair.a, pair.b].every((side) => side.inbound.size === 1 && side.outbound.size === 1 && side.link().state === "up");
}

const OPERATIONS = {
  rekeyChild: (pair: Pair) => pair.give(pair.a, { kind: "rekey", linkId: "link", what: "child" }),
  rekeyIke: (pair: Pair) => pair.give(pair.a, { kind: "rekey", linkId: "link", what: "ike" }),
  rekeyByResponder: (pair: Pair) => pair.give(pair.b, { kind: "rekey", linkId: "link", what: "all" }),
  reauthenticate: (pair: Pair) => pair.give(pair.a, { kind: "reauthenticate", linkId: "link" }),
  reauthenticateByResponder: (pair: Pair) => pair.give(pair.b, { kind: "reauthenticate", linkId: "link" }),
} as const;

describe("lost packets", () => {
  for (let lost = 0; lost < 4; lost++) {
    for (const initiate of ["respond", "start"] as const) {
      it(`packet ${lost} of the handshake is lost: the link comes up all the same (b: ${initiate})`, () => {
        const pair = new Pair(lost + 1);
        pair.link.drops = (packet) => packet.index === lost;
        const configs = linkConfigs({ b: { initiate } });
        pair.give(pair.b, { kind: "setLink", link: configs.b });
        pair.give(pair.a, { kind: "setLink", link: configs.a });
        pair.run(60_000);
        expect(settled(pair)).toBe(true);
        expect([...pair.a.bookkeeping, ...pair.b.bookkeeping]).toEqual([]);
      });
    }
  }

  for (const [name, operate] of Object.entries(OPERATIONS)) {
    for (let lost = 0; lost < 8; lost++) {
      it(`packet ${lost} of ${name} is lost: no traffic is, and one of each stays`, () => {
        const pair = establishedPair(lost + 3);
        pair.run(1_000);
        const losses = watchFlow(pair);
        const first = pair.link.sent.length;
        pair.link.drops = (packet) => packet.index === first + lost;
        operate(pair);
        pair.run(100_000);
        expect(losses).toEqual([]);
        expect(settled(pair)).toBe(true);
        expect([...pair.a.bookkeeping, ...pair.b.bookkeeping]).toEqual([]);
      });
    }
  }

  it("a DELETE whose answer is lost is answered again with the same octets", () => {
    const pair = establishedPair();
    pair.run(1_000);
    const first = pair.link.sent.length;
    pair.link.drops = (packet) => packet.index === first + 1;
    pair.give(pair.a, { kind: "down", linkId: "link" });
    pair.run(5_000);
    const answers = pair.link.sent.slice(first).filter((packet) => packet.from.address === "192.0.2.2");
    expect(answers.length).toBe(2);
    expect(answers[1]!.bytes).toEqual(answers[0]!.bytes);
    expect(pair.a.link().ikeSas).toEqual([]);
  });
});

describe("a path with 20 % loss, reordering and duplication", () => {
  it(
    "both ends converge to the same SAs whatever they begin at once",
    () => {
      const operation = fc.constantFrom(...Object.values(OPERATIONS));
      fc.assert(
        fc.property(
          fc.integer({ min: 1, max: 2 ** 30 }),
          fc.constantFrom("start" as const, "respond" as const),
          fc.array(fc.tuple(operation, fc.integer({ min: 0, max: 3_000 })), { maxLength: 6 }),
          (seed, initiate, steps) => {
            const pair = new Pair(seed);
            pair.link.quality = { delayMs: 20, loss: 0.2, duplicate: 0.2, reorder: 0.3, reorderMs: 300 };
            const configs = linkConfigs({ both: { livenessMs: 20_000 }, b: { initiate } });
            pair.give(pair.b, { kind: "setLink", link: configs.b });
            pair.give(pair.a, { kind: "setLink", link: configs.a });
            for (const [operate, pause] of steps) {
              pair.run(pause);
              operate(pair);
            }
            // The line gets better, as lines do; what was begun has to come to its end.
            pair.run(60_000);
            pair.link.quality = { delayMs: 20, loss: 0, duplicate: 0.2, reorder: 0.3, reorderMs: 300 };
            const done = pair.runUntil(() => settled(pair), 300_000);
            expect([...pair.a.bookkeeping, ...pair.b.bookkeeping]).toEqual([]);
            if (!done) expect([pair.a.link(), pair.b.link()]).toBe("settled");
          },
        ),
        SEARCH,
      );
    },
    searchMs(SEARCH),
  );
});
