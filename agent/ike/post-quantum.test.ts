import { describe, expect, it } from "vitest";
import { establishedPair, linkConfigs, Pair, type Side } from "../testing/pair.ts";

const HYBRID = "aes256gcm16-prfsha384-x25519-ke1_mlkem768";
const CLASSICAL = "aes256gcm16-prfsha384-x25519";

const exchanges = (pair: Pair): string[] =>
  pair.a.trace.filter((entry) => entry.direction !== "local").map((entry) => `${entry.direction === "sent" ? "a" : "b"} ${entry.exchange}`);

describe("additional key exchanges before IKE_AUTH", () => {
  it("take one IKE_INTERMEDIATE each, and both ends hold the same keys", () => {
    const pair = establishedPair(1, { both: { ikeProposals: [HYBRID] } });
    pair.run(100);
    expect(exchanges(pair)).toEqual(["a IKE_SA_INIT", "b IKE_SA_INIT", "a IKE_INTERMEDIATE", "b IKE_INTERMEDIATE", "a IKE_AUTH", "b IKE_AUTH"]);
    for (const side of [pair.a, pair.b]) expect(side.link().ikeSas[0]).toMatchObject({ suite: HYBRID, postQuantum: true });
    const inbound = [...pair.b.inbound.values()][0]!;
    const outbound = [...pair.a.outbound.values()][0]!;
    expect(outbound.keys).toEqual(inbound.keys);
  });

  for (const suite of [
    "aes128gcm16-prfsha256-x25519-ke1_mlkem512",
    "aes256gcm16-prfsha512-ecp384-ke1_mlkem1024",
    "aes256-sha256-modp2048-ke1_mlkem768",
    "chacha20poly1305-prfsha256-x25519-ke1_mlkem768-ke2_ecp521-ke7_mlkem1024",
  ]) {
    it(`agree on ${suite}`, () => {
      const pair = establishedPair(2, { both: { ikeProposals: [suite] } });
      expect(pair.b.link().ikeSas[0]!.suite).toBe(suite.replace("sha256-modp", "sha256-prfsha256-modp"));
      expect(exchanges(pair).filter((one) => one === "a IKE_INTERMEDIATE").length).toBe(suite.split("-ke").length - 1);
    });
  }

  for (const [who, overrides] of [
    ["responder", { a: { ikeProposals: [HYBRID, CLASSICAL] }, b: { ikeProposals: [CLASSICAL] } }],
    ["initiator", { a: { ikeProposals: [CLASSICAL] }, b: { ikeProposals: [HYBRID, CLASSICAL] } }],
  ] as const) {
    it(`are left out with a ${who} that does not know them`, () => {
      const pair = establishedPair(3, overrides);
      for (const side of [pair.a, pair.b]) expect(side.link().ikeSas[0]).toMatchObject({ suite: CLASSICAL, postQuantum: false });
      const findings = (side: Side) => side.trace.filter((entry) => entry.detail["finding"] === "CLASSICAL").length;
      // Who has no ML-KEM in its own proposals does not miss it.
      expect([findings(pair.a), findings(pair.b)]).toEqual(who === "responder" ? [1, 0] : [0, 1]);
    });
  }

  const findings = (side: Side): string[] =>
    side.trace.filter((entry) => entry.detail["finding"] === "CLASSICAL").map((entry) => `${entry.exchange}: ${entry.summary}`);
  const reported = (pair: Pair) => [pair.a, pair.b].map((side) => side.link().ikeSas.map((sa) => sa.postQuantum));
  const commanded = (pair: Pair, side: Side, kind: "ike" | "reauthenticate"): void => {
    pair.give(side, kind === "ike" ? { kind: "rekey", linkId: "link", what: "ike" } : { kind: "reauthenticate", linkId: "link" });
    pair.run(20_000);
  };

  for (const who of ["a", "b"] as const) {
    it(`are reported of an IKE SA that ${who} has rekeyed or authenticated anew as well, and found nothing wrong with`, () => {
      const pair = establishedPair(4, { both: { ikeProposals: [HYBRID, CLASSICAL] } });
      for (const kind of ["ike", "reauthenticate"] as const) {
        commanded(pair, pair[who], kind);
        expect(reported(pair), kind).toEqual([[true], [true]]);
      }
      expect([...findings(pair.a), ...findings(pair.b)]).toEqual([]);
    });

    it(`are missed once for each authentication, in one sentence, after the fallback; not for each rekey by ${who}`, () => {
      const pair = establishedPair(5, { both: { ikeProposals: [HYBRID, CLASSICAL] }, b: { ikeProposals: [CLASSICAL] } });
      commanded(pair, pair[who], "ike");
      expect(reported(pair)).toEqual([[false], [false]]);
      expect(findings(pair.a)).toEqual([expect.stringContaining("IKE_AUTH: The link is classical: this side would add ML-KEM")]);
      commanded(pair, pair[who], "reauthenticate");
      expect([findings(pair.a).length, findings(pair.b).length]).toEqual([2, 0]);
    });
  }

  it("are no finding where neither end has them", () => {
    const pair = establishedPair(6, { both: { ikeProposals: [CLASSICAL] } });
    expect(reported(pair)).toEqual([[false], [false]]);
    expect([...findings(pair.a), ...findings(pair.b)]).toEqual([]);
  });

  it("are reported once the peer that lacked them has them", () => {
    const pair = establishedPair(7, { both: { ikeProposals: [HYBRID, CLASSICAL] }, b: { ikeProposals: [CLASSICAL] } });
    expect(reported(pair)).toEqual([[false], [false]]);
    pair.give(pair.b, { kind: "setLink", link: linkConfigs({ both: { ikeProposals: [HYBRID, CLASSICAL] } }).b });
    pair.run(20_000);
    expect(reported(pair)).toEqual([[true], [true]]);
    expect(findings(pair.a).length).toBe(1);
  });

  it("are required where every proposal has them", () => {
    const pair = new Pair(1);
    const configs = linkConfigs({ a: { ikeProposals: [CLASSICAL] }, b: { ikeProposals: [HYBRID] } });
    pair.give(pair.b, { kind: "setLink", link: configs.b });
    pair.give(pair.a, { kind: "setLink", link: configs.a });
    pair.run(5_000);
    expect(pair.b.failures()[0]).toMatch(/additional key exchange 1: offered none, allowed ke1_mlkem768/);
    expect(pair.a.link().state).not.toBe("up");
  });
});
