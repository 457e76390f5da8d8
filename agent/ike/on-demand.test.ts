import { describe, expect, it } from "vitest";
import { linkConfigs, Pair } from "../testing/pair.ts";
import { fromPrefix } from "../ipsec/traffic-selector.ts";
import type { LinkConfig } from "./endpoint-types.ts";

/** `a` has the configuration that matters; `b` waits for it. */
function set(own: Partial<LinkConfig>): { pair: Pair; configs: ReturnType<typeof linkConfigs> } {
  const pair = new Pair(11);
  const configs = linkConfigs({ a: own });
  pair.give(pair.b, { kind: "setLink", link: { ...configs.b, initiate: "respond" } });
  pair.give(pair.a, { kind: "setLink", link: configs.a });
  return { pair, configs };
}

const packet = (pair: Pair, times = 1) => {
  for (let i = 0; i < times; i++) pair.give(pair.a, { kind: "acquire", policyId: [...pair.a.policies.keys()][0]! });
};
const up = (pair: Pair) => [pair.a.link().state, pair.b.link().state].every((state) => state === "up");
/** Nobody is at the other end any more. */
const lose = (pair: Pair) => {
  pair.link.drops = () => true;
};
const find = (pair: Pair) => {
  pair.link.drops = () => false;
};
const chosen = (pair: Pair) => pair.a.trace.filter((entry) => entry.exchange === "ACQUIRE").length;

describe("a link on demand", () => {
  it("is reauthenticated by the peer after the peer has deleted a Child SA and made it again", () => {
    const pair = new Pair(11);
    const children = (local: number, remote: number) =>
      ["net", "two"].map((name, index) => ({
        name,
        localSelectors: [fromPrefix(`10.${local}.${index}.0/24`)],
        remoteSelectors: [fromPrefix(`10.${remote}.${index}.0/24`)],
      }));
    const both = { childless: true };
    const configs = linkConfigs({ both, a: { initiate: "onDemand", children: children(1, 2) }, b: { children: children(2, 1) } });
    pair.give(pair.b, { kind: "setLink", link: configs.b });
    pair.give(pair.a, { kind: "setLink", link: configs.a });
    packet(pair);
    pair.run(2_000);
    const [child] = pair.b.link().ikeSas[0]!.children;
    pair.give(pair.b, { kind: "expire", childSaId: child!.id, spi: child!.outboundSpi, hard: true });
    pair.run(2_000);
    pair.give(pair.b, { kind: "up", linkId: "link" });
    pair.run(20_000);
    expect(pair.a.link().ikeSas.map((sa) => sa.children.length)).toEqual([2]);
    const before = pair.a.link().ikeSas[0]!.id;
    pair.give(pair.b, { kind: "reauthenticate", linkId: "link" });
    pair.run(20_000);
    expect(pair.a.link().ikeSas.map((sa) => [sa.id === before, sa.children.length])).toEqual([[false, 2]]);
  });

  it("waits with its policies in place, and a packet brings it up", () => {
    const { pair } = set({ initiate: "onDemand" });
    pair.run(60_000);
    expect([pair.a.link().ikeSas, pair.a.link().lastFailure, [...pair.a.policies.values()].map((policy) => policy.action.kind)]).toEqual([
      [],
      null,
      ["discard"],
    ]);
    packet(pair);
    pair.run(900);
    expect([up(pair), [...pair.a.policies.values()].map((policy) => policy.action.kind)]).toEqual([true, ["protect"]]);
    expect([...pair.a.bookkeeping, ...pair.b.bookkeeping]).toEqual([]);
  });

  it("begins one IKE SA, however many packets want through before it is there", () => {
    const { pair } = set({ initiate: "onDemand" });
    packet(pair, 5);
    pair.run(5);
    packet(pair, 5);
    pair.run(2_000);
    packet(pair, 5);
    pair.run(2_000);
    expect([up(pair), pair.a.link().ikeSas.length, pair.a.inbound.size, pair.b.inbound.size, chosen(pair)]).toEqual([true, 1, 1, 1, 1]);
  });

  it("tries once for a packet, and again for a later one", () => {
    const { pair } = set({ initiate: "onDemand" });
    lose(pair);
    packet(pair);
    pair.run(300_000);
    expect([pair.a.link().ikeSas, chosen(pair), pair.a.failures().length]).toEqual([[], 1, 1]);
    find(pair);
    packet(pair);
    pair.run(900);
    expect([up(pair), chosen(pair)]).toEqual([true, 2]);
  });

  it("that is taken down stays down, and packets do not wake one that only answers", () => {
    for (const own of [{ initiate: "onDemand" }, { initiate: "respond" }] as const) {
      const { pair } = set(own);
      if (own.initiate === "onDemand") pair.give(pair.a, { kind: "down", linkId: "link" });
      packet(pair);
      pair.run(5_000);
      expect(pair.a.link().ikeSas).toEqual([]);
    }
  });

  it("waits for a packet again when its peer has gone", () => {
    const { pair } = set({ initiate: "onDemand", livenessMs: 5_000 });
    packet(pair);
    pair.run(900);
    lose(pair);
    pair.run(300_000);
    expect([pair.a.link().ikeSas, [...pair.a.policies.values()].map((policy) => policy.action.kind)]).toEqual([[], ["discard"]]);
    find(pair);
    pair.run(300_000);
    expect(pair.a.link().ikeSas).toEqual([]);
    packet(pair);
    pair.run(2_000);
    expect(pair.a.link().state).toBe("up");
  });
});

describe("a peer that is silent", () => {
  const cases = [
    ["restart", true, true],
    ["clear", false, false],
    ["trap", false, true],
  ] as const;
  for (const [livenessAction, byItself, byPacket] of cases) {
    it(`and ${livenessAction}: ${byItself ? "begun anew at once" : byPacket ? "begun anew by a packet" : "begun anew by the peer or a command alone"}`, () => {
      const { pair } = set({ livenessMs: 5_000, livenessAction });
      pair.run(900);
      expect(up(pair)).toBe(true);
      lose(pair);
      pair.run(200_000);
      expect(pair.a.failures().some((failure) => failure.includes("silent"))).toBe(true);
      expect(pair.a.inbound.size).toBe(0);
      find(pair);
      pair.run(100_000);
      expect(pair.a.link().state === "up").toBe(byItself);
      packet(pair);
      pair.run(40_000);
      expect(pair.a.link().state === "up").toBe(byPacket || byItself);
      pair.give(pair.a, { kind: "up", linkId: "link" });
      pair.run(40_000);
      expect(up(pair)).toBe(true);
    });
  }
});
