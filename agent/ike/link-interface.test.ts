import { expect, test } from "vitest";
import { linkConfigs, Pair } from "../testing/pair.ts";

/* A plane that has interfaces is told with every SA and policy which one it is for; which number a link has there is this end's matter alone. */

function established(): { pair: Pair; a: ReturnType<typeof linkConfigs>["a"] } {
  const pair = new Pair(11);
  const { a, b } = linkConfigs({ a: { interfaceNumber: 7 }, b: { initiate: "respond" } });
  pair.give(pair.b, { kind: "setLink", link: b });
  pair.give(pair.a, { kind: "setLink", link: a });
  return { pair, a };
}

const ofSas = ({ a }: Pair) => [...a.inbound.values(), ...a.outbound.values()].map(({ interfaceNumber }) => interfaceNumber);
const ofPolicies = ({ a }: Pair) => [...a.policies.values()].map(({ interfaceNumber, action }) => [interfaceNumber, action.kind]);

test("what protects and what discards is for the link's interface, before and after a rekey", () => {
  const { pair } = established();
  expect(ofPolicies(pair)).toEqual([[7, "discard"]]);
  expect(pair.runUntil(() => pair.bothUp())).toBe(true);
  pair.run(5_000);
  expect([ofSas(pair), ofPolicies(pair)]).toEqual([[7, 7], [[7, "protect"]]]);
  const [spi] = pair.a.inbound.keys();
  pair.give(pair.a, { kind: "rekey", linkId: "link", what: "all" });
  expect(pair.runUntil(() => pair.a.inbound.size === 1 && !pair.a.inbound.has(spi!))).toBe(true);
  expect([ofSas(pair), ofPolicies(pair)]).toEqual([[7, 7], [[7, "protect"]]]);
  expect([...pair.b.inbound.values(), ...pair.b.policies.values()].map(({ interfaceNumber }) => interfaceNumber)).toEqual([undefined, undefined]);
});

test("another interface has the link negotiated anew beside the old one: an SA cannot be moved to it", () => {
  const { pair, a } = established();
  expect(pair.runUntil(() => pair.bothUp())).toBe(true);
  pair.run(5_000);
  pair.give(pair.a, { kind: "setLink", link: { ...a, interfaceNumber: 8 } });
  expect(pair.runUntil(() => ofPolicies(pair).every(([number, kind]) => number === 8 && kind === "protect"), 5_000)).toBe(true);
  pair.run(10_000);
  expect([ofSas(pair), pair.a.link().state, pair.b.link().state]).toEqual([[8, 8], "up", "up"]);
});
