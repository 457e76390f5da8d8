import { describe, expect, it } from "vitest";
import { inboundWorkerOf } from "../ipsec/inbound-share.ts";
import { linkConfigs, Pair, type Side } from "../testing/pair.ts";

const children = (side: Side) =>
  side
    .link()
    .ikeSas.flatMap((sa) => sa.children)
    .filter(({ state }) => state === "established");

function settled(seed: number, workers: number, perResourceSas = workers): Pair {
  const options = { inboundWorkers: workers };
  const pair = new Pair(seed, { a: options, b: options });
  const configs = linkConfigs({ both: { perResourceSas } });
  pair.give(pair.b, { kind: "setLink", link: configs.b });
  pair.give(pair.a, { kind: "setLink", link: configs.a });
  pair.run(60_000);
  return pair;
}

/** Inbound workers of the SAs that the peer has for its workers, in their order, and of the one for all. */
function shares(side: Side, workers: number) {
  const [forAll, ...own] = children(side)
    .toSorted((a, b) => (a.worker ?? 0) - (b.worker ?? 0))
    .map(({ inboundSpi }) => inboundWorkerOf(inboundSpi, workers));
  return { forAll, own };
}

const seeds = [1, 2, 3, 4, 5, 6, 7, 8];

describe("SPIs with several inbound workers", () => {
  it.each([2, 3, 5])("give each of %d workers one of the SAs of as many workers of the peer, at both ends", (workers) => {
    for (const seed of seeds) {
      const pair = settled(seed, workers);
      for (const side of [pair.a, pair.b]) expect(new Set(shares(side, workers).own)).toEqual(new Set(Array.from({ length: workers }, (_, worker) => worker)));
    }
  });

  it("keep a child's worker when it is rekeyed from either end, and with its IKE SA", () => {
    const pair = settled(5, 2);
    const before = [shares(pair.a, 2), shares(pair.b, 2)];
    const old = children(pair.a).map(({ inboundSpi }) => inboundSpi);
    for (const [side, what] of [
      [pair.a, "child"],
      [pair.b, "child"],
      [pair.b, "ike"],
      [pair.b, "all"],
    ] as const) {
      pair.give(side, { kind: "rekey", linkId: "link", what });
      pair.run(60_000);
      expect([shares(pair.a, 2), shares(pair.b, 2)]).toEqual(before);
    }
    expect(children(pair.a).filter(({ inboundSpi }) => old.includes(inboundSpi))).toEqual([]);
  });

  it("spread links with one SA over the workers", () => {
    const workers = seeds.concat(seeds.map((seed) => seed + 100)).map((seed) => shares(settled(seed, 2, 0).a, 2).forAll);
    expect(new Set(workers)).toEqual(new Set([0, 1]));
  });
});
