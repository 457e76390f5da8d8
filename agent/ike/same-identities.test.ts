import { describe, expect, it } from "vitest";
import type { LinkConfig } from "./endpoint-types.ts";
import { fromPrefix } from "../ipsec/traffic-selector.ts";
import { linkConfigs, Pair } from "../testing/pair.ts";

const secretOf = (name: string) => new TextEncoder().encode(`the pre-shared key ${name} of the tests`);
const keys = (...names: string[]): Partial<LinkConfig> => ({
  credentials: { method: "psk", keys: names.map((name) => ({ id: name, secret: secretOf(name) })), use: names[0]! },
});
const otherNetworks = [fromPrefix("10.3.0.0/24"), fromPrefix("10.4.0.0/24")] as const;

/** A second link between the two gateways and their identities, for other networks. */
function second(overrides: Partial<LinkConfig>) {
  const [netA, netB] = otherNetworks;
  const both = { id: "second", ...overrides };
  return linkConfigs({
    a: { ...both, children: [{ name: "net", localSelectors: [netA], remoteSelectors: [netB] }] },
    b: { ...both, children: [{ name: "net", localSelectors: [netB], remoteSelectors: [netA] }] },
  });
}

const isUp = (pair: Pair, id: string) => [pair.a, pair.b].every((side) => side.link(id).state === "up");

describe("two links between the same two gateways, with the same identities", () => {
  const [first, other] = [linkConfigs({ both: keys("one") }), second(keys("two"))];

  it.each(["first", "second"])("come up each with its own key, whichever the responder was given first (%s)", (given) => {
    const pair = new Pair(5);
    for (const link of given === "first" ? [first.b, other.b] : [other.b, first.b]) pair.give(pair.b, { kind: "setLink", link });
    for (const link of [first.a, other.a]) pair.give(pair.a, { kind: "setLink", link });
    pair.run(2_000);
    expect([isUp(pair, "link"), isUp(pair, "second")]).toEqual([true, true]);
    expect([...pair.a.failures(), ...pair.b.failures()]).toEqual([]);
    expect(["link", "second"].map((id) => pair.b.link(id).ikeSas.map((sa) => sa.credentialId))).toEqual([["one"], ["two"]]);
  });

  it("stay apart when both are authenticated anew and one's key is replaced", () => {
    const pair = new Pair(6);
    for (const link of [first.b, other.b]) pair.give(pair.b, { kind: "setLink", link });
    for (const link of [first.a, other.a]) pair.give(pair.a, { kind: "setLink", link });
    pair.run(2_000);
    const replaced = second(keys("three", "two"));
    pair.give(pair.b, { kind: "setLink", link: replaced.b });
    pair.give(pair.a, { kind: "setLink", link: replaced.a });
    for (const linkId of ["link", "second"]) pair.give(pair.a, { kind: "reauthenticate", linkId });
    pair.run(60_000);
    expect([...pair.a.failures(), ...pair.b.failures()]).toEqual([]);
    expect(["link", "second"].map((id) => pair.b.link(id).ikeSas.map((sa) => sa.credentialId))).toEqual([["one"], ["three"]]);
    expect([...pair.a.bookkeeping, ...pair.b.bookkeeping]).toEqual([]);
  });

  it("a key that neither has is refused with the reason", () => {
    const pair = new Pair(7);
    for (const link of [first.b, other.b]) pair.give(pair.b, { kind: "setLink", link });
    pair.give(pair.a, { kind: "setLink", link: second(keys("four")).a });
    pair.run(2_000);
    expect(pair.b.failures()[0]).toMatch(/^AUTHENTICATION_FAILED: .*pre-shared key/);
    expect(pair.b.inbound.size).toBe(0);
  });
});
