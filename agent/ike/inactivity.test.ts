import { describe, expect, it } from "vitest";
import { fromPrefix } from "../ipsec/traffic-selector.ts";
import { linkConfigs, Pair, type Side } from "../testing/pair.ts";
import type { ChildConfig, LinkConfig } from "./endpoint-types.ts";

const MINUTE_MS = 60_000;

const child = (name: string, octet: number): ChildConfig => ({
  name,
  localSelectors: [fromPrefix("10.1.0.0/24")],
  remoteSelectors: [fromPrefix(`10.${octet}.0.0/24`)],
});
const mirrored = (one: ChildConfig): ChildConfig => ({ ...one, localSelectors: one.remoteSelectors, remoteSelectors: one.localSelectors });

const tenMinutes = { inactivityMs: 10 * MINUTE_MS };

/** `a` waits for packets and closes what is unused after ten minutes, `b` only answers; both are up. */
function up(own: Partial<LinkConfig> = tenMinutes, theirs: Partial<LinkConfig> = {}, children = [child("net", 2)]): Pair {
  const pair = new Pair(21);
  const configs = linkConfigs({ a: { initiate: "onDemand", children, ...own } });
  pair.give(pair.b, { kind: "setLink", link: { ...configs.b, initiate: "respond", children: children.map(mirrored), ...theirs } });
  pair.give(pair.a, { kind: "setLink", link: configs.a });
  for (const { name } of children) want(pair, name);
  pair.run(2_000);
  expect([pair.a.link().state, pair.b.link().state]).toEqual(["up", "up"]);
  return pair;
}

const want = (pair: Pair, name = "net") => pair.give(pair.a, { kind: "acquire", policyId: `link/${name}` });
const names = (side: Side) => side.link().ikeSas.flatMap((sa) => sa.children.filter(({ state }) => state === "established").map((one) => one.name));
/** A packet goes out through the Child SA of this name, or comes in. */
const pass = (side: Side, name = "net", direction: "inboundSpi" | "outboundSpi" = "outboundSpi") => {
  for (const one of side
    .link()
    .ikeSas.flatMap((sa) => sa.children)
    .filter((candidate) => candidate.name === name))
    side.packets.set(one[direction], (side.packets.get(one[direction]) ?? 0) + 1);
};
const tidy = (pair: Pair) => expect([...pair.a.bookkeeping, ...pair.b.bookkeeping, ...pair.a.failures(), ...pair.b.failures()]).toEqual([]);

describe("a link that closes what nothing passes through", () => {
  it("says when, ends both SAs with the peer then, and is brought back by the next packet", () => {
    const pair = up();
    const closesAt = pair.a.link().ikeSas[0]!.children[0]!.closesAt!;
    expect(Math.round((closesAt - pair.clock.now()) / MINUTE_MS)).toBe(10);
    pair.run(9 * MINUTE_MS);
    expect(names(pair.a)).toEqual(["net"]);
    pair.run(4 * MINUTE_MS);
    expect([pair.a.link().ikeSas, pair.b.link().ikeSas, pair.a.link().state]).toEqual([[], [], "down"]);
    expect([...pair.a.policies.values()].map((policy) => policy.action.kind)).toEqual(["discard"]);
    expect(pair.a.trace.some(({ summary }) => /^No packet has passed through "net" for 6\d\d s: it is closed until it is needed\.$/.test(summary))).toBe(true);
    want(pair);
    pair.run(900);
    expect([pair.a.link().state, pair.b.link().state]).toEqual(["up", "up"]);
    tidy(pair);
  });

  for (const direction of ["outboundSpi", "inboundSpi"] as const) {
    it(`stays while a packet passes now and then, ${direction === "outboundSpi" ? "out" : "in"}`, () => {
      const pair = up();
      for (let round = 0; round < 12; round++) {
        pass(pair.a, "net", direction);
        pair.run(7 * MINUTE_MS);
        expect(names(pair.a)).toEqual(["net"]);
      }
      pair.run(13 * MINUTE_MS);
      expect(pair.a.link().ikeSas).toEqual([]);
      tidy(pair);
    });
  }

  it("does not take a rekey for use, nor its new counters for silence", () => {
    const quiet = up({ ...tenMinutes, childRekeyMs: 4 * MINUTE_MS });
    quiet.run(13 * MINUTE_MS);
    expect(quiet.a.link().ikeSas).toEqual([]);
    const used = up({ ...tenMinutes, childRekeyMs: 4 * MINUTE_MS });
    for (let round = 0; round < 30; round++) {
      pass(used.a);
      used.run(3 * MINUTE_MS);
      expect(names(used.a)).toEqual(["net"]);
    }
    tidy(used);
  });

  it("closes one of two Child SAs alone, and makes that one again when a packet wants it", () => {
    const pair = up(tenMinutes, {}, [child("net", 2), child("other", 3)]);
    const ike = pair.a.link().ikeSas[0]!.id;
    for (let round = 0; round < 4; round++) {
      pass(pair.a, "other");
      pair.run(4 * MINUTE_MS);
    }
    expect([names(pair.a), names(pair.b), pair.a.link().ikeSas.map(({ id }) => id)]).toEqual([["other"], ["other"], [ike]]);
    want(pair, "net");
    pair.run(900);
    expect([names(pair.a).toSorted(), names(pair.b).toSorted(), pair.a.link().ikeSas.length]).toEqual([["net", "other"], ["net", "other"], 1]);
    tidy(pair);
  });

  it("closes as the end that only answers as well", () => {
    const pair = up({ inactivityMs: 1_000 * MINUTE_MS }, tenMinutes);
    pair.run(13 * MINUTE_MS);
    expect([pair.a.link().ikeSas, pair.b.link().ikeSas]).toEqual([[], []]);
    pair.run(200 * MINUTE_MS);
    expect(pair.a.link().ikeSas).toEqual([]);
    tidy(pair);
  });

  it("closes nothing that is commanded up", () => {
    const pair = up();
    pair.give(pair.a, { kind: "up", linkId: "link" });
    pair.run(100 * MINUTE_MS);
    expect([names(pair.a), pair.a.link().ikeSas[0]!.children[0]!.closesAt]).toEqual([["net"], null]);
  });
});

describe("a link on demand whose peer deletes the Child SA", () => {
  it("waits for the next packet, without an IKE SA that carries nothing", () => {
    const pair = up({});
    const { id } = pair.b.link().ikeSas[0]!.children[0]!;
    pair.give(pair.b, { kind: "expire", childSaId: id, spi: pair.b.link().ikeSas[0]!.children[0]!.inboundSpi, hard: true });
    pair.run(100 * MINUTE_MS);
    expect([pair.a.link().ikeSas, pair.b.link().ikeSas]).toEqual([[], []]);
    want(pair);
    pair.run(900);
    expect([names(pair.a), names(pair.b)]).toEqual([["net"], ["net"]]);
    expect([...pair.a.bookkeeping, ...pair.b.bookkeeping]).toEqual([]);
  });
});
