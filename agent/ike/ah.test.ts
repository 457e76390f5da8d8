import { describe, expect, it } from "vitest";
import { type Bench, deleteChild, rekey, testExchanges } from "../testing/exchange-case.ts";
import { establishedPair, linkConfigs, Pair } from "../testing/pair.ts";
import { Encr, Integ } from "../wire/iana.ts";
import { parseProposal } from "./negotiation/proposal-keywords.ts";

/* AH in place of ESP (RFC 4302, RFC 7296 §3.3.3). */

const both = { ahProposals: ["sha256-x25519", "sha512"] };

function attempt(overrides: Parameters<typeof linkConfigs>[0], options?: ConstructorParameters<typeof Pair>[1]): Pair {
  const pair = new Pair(3, options);
  const { a, b } = linkConfigs(overrides);
  pair.give(pair.b, { kind: "setLink", link: b });
  pair.give(pair.a, { kind: "setLink", link: a });
  pair.run(900);
  return pair;
}

describe("a link with AH", () => {
  it("gets SAs with an integrity key each, the same at both ends, and no encryption", () => {
    const pair = establishedPair(1, { both });
    for (const [from, to] of [
      [pair.a, pair.b],
      [pair.b, pair.a],
    ] as const) {
      const [out] = from.outbound.values();
      const [into] = to.inbound.values();
      expect(out).toMatchObject({ protocol: "ah", mode: "tunnel", encapsulation: "none", keys: { encr: Encr.NULL, integ: Integ.HMAC_SHA2_256_128 } });
      expect([out!.keys.encryptionKey.length, out!.keys.salt.length, out!.keys.integrityKey.length]).toEqual([0, 0, 32]);
      expect(into).toMatchObject({ spi: out!.spi, protocol: "ah", keys: out!.keys });
      expect(from.link().ikeSas[0]?.children[0]).toMatchObject({ protocol: "ah", suite: "sha256" });
    }
    expect([...pair.a.inbound.values()][0]!.keys.integrityKey).not.toEqual([...pair.b.inbound.values()][0]!.keys.integrityKey);
  });

  it("takes extended sequence numbers, and the first proposal that both allow", () => {
    const pair = establishedPair(1, { a: { ahProposals: ["sha384-esn", "sha512-esn"] }, b: { ahProposals: ["sha512-esn-noesn"] } });
    expect([...pair.b.inbound.values()][0]).toMatchObject({ extendedSequenceNumbers: true, keys: { integ: Integ.HMAC_SHA2_512_256 } });
  });

  it("has nothing in common with one of ESP, and says so at both ends", () => {
    const pair = attempt({ a: both });
    expect(pair.a.failures()).toEqual(["NO_PROPOSAL_CHOSEN: The peer accepts none of the AH proposals that this side offered: sha256, sha512."]);
    expect(pair.b.failures()).toEqual(["NO_PROPOSAL_CHOSEN: The peer offers AH; this side allows ESP only."]);
  });

  it.each([
    ["the initiator", { a: { forceEncapsulation: true } }],
    ["the responder", { b: { forceEncapsulation: true } }],
  ] as const)("does not come up where there seems to be a NAT in front of %s: AH cannot pass it", (_who, ends) => {
    const pair = attempt({ both, ...ends });
    const failures = [...pair.a.failures(), ...pair.b.failures()];
    expect(failures.length).toBeGreaterThan(0);
    for (const failure of failures) expect(failure).toMatch(/^AH_BEHIND_NAT: AH cannot pass a NAT, and .*Use ESP\.$/);
    expect([pair.a.inbound.size, pair.b.inbound.size]).toEqual([0, 0]);
  });

  it("comes up where the link names no address of this side's: what the routes say is no NAT to the peer, but an address that a NAT has changed is", () => {
    const anywhere = { both: { ...both, localAddress: null } };
    const known = attempt(anywhere, { a: { sourceOf: (remote) => (remote === "192.0.2.2" ? "192.0.2.1" : null) } });
    expect([known.a.link().state, known.b.link().state, ...known.a.failures(), ...known.b.failures()]).toEqual(["up", "up"]);
    const changed = attempt(anywhere, { a: { sourceOf: () => "10.0.0.9" } });
    expect(changed.b.failures()).toEqual([expect.stringMatching(/^AH_BEHIND_NAT/)]);
  });
});

describe("AH through the exchanges", () =>
  testExchanges([
    ...(["a", "b"] as const).flatMap((who) => [
      { name: `${who} rekeys`, configs: { both }, play: (bench: Bench) => rekey(bench, bench[who], "child") },
      { name: `${who} rekeys everything`, configs: { both }, play: (bench: Bench) => rekey(bench, bench[who], "all") },
      {
        name: `${who} closes the Child SA: the other end takes the DELETE for it, and it is made anew`,
        configs: { both },
        interrupts: true,
        play: (bench: Bench) => {
          deleteChild(bench, bench[who]);
          bench.courier.deliver(bench[who]);
          expect(bench[who === "a" ? "b" : "a"].outbound.size).toBe(0);
          bench.courier.leave();
          expect(bench.pair.runUntil(() => bench.pair.bothUp(), 10_000)).toBe(true);
        },
      },
    ]),
    {
      name: "both rekey at once",
      configs: { both },
      play: (bench) => {
        rekey(bench, bench.a, "child");
        rekey(bench, bench.b, "child");
      },
    },
  ]));

describe("the keywords of AH", () => {
  it.each([
    ["aes256gcm16", /names a cipher, but AH does not encrypt/],
    ["x25519", /needs an integrity algorithm/],
    ["sha256-prfsha256", /names a PRF/],
    ["md5", /is broken/],
    ["sha1", /SHA-1/],
  ])("refuse %s", (text, why) => expect(() => parseProposal(text, "ah")).toThrow(why));
});
