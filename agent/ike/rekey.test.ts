import { describe, expect, it } from "vitest";
import { watchFlow } from "../testing/flow-watch.ts";
import { establishedPair, type Pair, type Side } from "../testing/pair.ts";

/** One IKE SA, one Child SA, matching SPIs, and nothing left over in either data plane. */
function expectSettled(pair: Pair): void {
  for (const side of [pair.a, pair.b]) {
    const link = side.link();
    expect(link.state).toBe("up");
    expect(link.ikeSas.map((sa) => sa.state)).toEqual(["established"]);
    expect(link.ikeSas[0]!.children.map((child) => child.state)).toEqual(["established"]);
    expect(side.bookkeeping).toEqual([]);
    expect([side.inbound.size, side.outbound.size]).toEqual([1, 1]);
  }
  const [a, b] = [pair.a.link().ikeSas[0]!, pair.b.link().ikeSas[0]!];
  expect([a.spiI, a.spiR]).toEqual([b.spiI, b.spiR]);
  expect(a.children[0]!.inboundSpi).toBe(b.children[0]!.outboundSpi);
  expect(a.children[0]!.outboundSpi).toBe(b.children[0]!.inboundSpi);
  for (const [from, to] of [
    [pair.a, pair.b],
    [pair.b, pair.a],
  ] as const) {
    const inbound = [...to.inbound.values()][0]!;
    const outbound = [...from.outbound.values()][0]!;
    expect(outbound.keys).toEqual(inbound.keys);
    expect(from.policies.get("link/net")!.action).toEqual({ kind: "protect", spi: inbound.spi });
  }
}

function rekey(pair: Pair, side: Side, what: "ike" | "child" | "all"): void {
  pair.give(side, { kind: "rekey", linkId: "link", what });
}

const PFS = { both: { espProposals: ["aes256gcm16-x25519-ecp256"] } };

describe("rekeying", () => {
  for (const who of ["a", "b"] as const) {
    for (const what of ["child", "ike", "all"] as const) {
      for (const [mode, overrides] of [
        ["without PFS", {}],
        ["with PFS", PFS],
      ] as const) {
        it(`${what} by ${who} ${mode} loses no packet and leaves one of each`, () => {
          const pair = establishedPair(7, overrides);
          pair.run(1_000);
          const before = pair.a.link();
          const losses = watchFlow(pair);
          rekey(pair, pair[who], what);
          pair.run(10_000);
          expect(losses).toEqual([]);
          expectSettled(pair);
          const after = pair.a.link();
          if (what !== "ike") expect(after.ikeSas[0]!.children[0]!.inboundSpi).not.toBe(before.ikeSas[0]!.children[0]!.inboundSpi);
          if (what !== "child") expect(after.ikeSas[0]!.spiI).not.toBe(before.ikeSas[0]!.spiI);
        });
      }
    }
  }

  it("the responder sends on the old SA until the peer's first packet on the new one", () => {
    const pair = establishedPair();
    pair.run(1_000);
    const old = pair.b.policies.get("link/net")!.action;
    // a --CREATE_CHILD_SA--> b: b has the new SA and still sends on the old
    rekey(pair, pair.a, "child");
    pair.runUntil(() => pair.b.inbound.size === 2);
    expect(pair.b.policies.get("link/net")!.action).toEqual(old);
    // b --answer--> a, lost DELETE, a's traffic arrives
    pair.link.drops = () => true;
    pair.runUntil(() => pair.a.inbound.size === 2, 50);
    expect(pair.sendTraffic(pair.a)).toBe(true);
    expect(pair.b.policies.get("link/net")!.action).not.toEqual(old);
    pair.link.drops = () => false;
    pair.run(10_000);
    expectSettled(pair);
  });

  // The seed sets all nonces, so that over the seeds every order of the four occurs.
  for (let seed = 1; seed <= 24; seed++) {
    for (const [whatA, whatB] of [
      ["child", "child"],
      ["ike", "ike"],
      ["child", "ike"],
      ["all", "all"],
    ] as const) {
      it(`${whatA} by a and ${whatB} by b at once (seed ${seed}) loses no packet and leaves one of each`, () => {
        const pair = establishedPair(seed, seed % 2 === 0 ? PFS : {});
        pair.run(1_000);
        const losses = watchFlow(pair);
        rekey(pair, pair.a, whatA);
        rekey(pair, pair.b, whatB);
        pair.run(30_000);
        expect(losses).toEqual([]);
        expectSettled(pair);
      });
    }
  }

  it("settles a collision in which any one packet is lost", () => {
    for (const what of ["child", "ike", "all"] as const) {
      for (let lost = 0; lost < 12; lost++) {
        for (let seed = 1; seed <= 4; seed++) {
          const pair = establishedPair(seed);
          pair.run(1_000);
          const losses = watchFlow(pair);
          const first = pair.link.sent.length;
          pair.link.drops = (packet) => packet.index === first + lost;
          rekey(pair, pair.a, what);
          rekey(pair, pair.b, what);
          pair.run(150_000);
          expect(losses, `${what}, packet ${lost}, seed ${seed}`).toEqual([]);
          expectSettled(pair);
        }
      }
    }
  });

  it("answers CHILD_SA_NOT_FOUND for a Child SA it does not have, and the asker drops its own", () => {
    const pair = establishedPair();
    pair.run(1_000);
    const child = pair.b.link().ikeSas[0]!.children[0]!;
    // b loses its child while its DELETE cannot leave
    pair.link.drops = () => true;
    pair.give(pair.b, { kind: "installFailed", childSaId: child.id, reason: "test" });
    pair.run(100);
    pair.link.drops = () => false;
    rekey(pair, pair.a, "child");
    pair.run(20_000);
    expectSettled(pair);
  });

  it("falls to the group that the responder wants when rekeying with PFS", () => {
    const pair = establishedPair(3, { a: { espProposals: ["aes256gcm16-x25519-ecp256"] }, b: { espProposals: ["aes256gcm16-ecp256"] } });
    pair.run(1_000);
    rekey(pair, pair.a, "child");
    pair.run(10_000);
    expectSettled(pair);
    expect(pair.a.link().ikeSas[0]!.children[0]!.suite).toBe("aes256gcm16-ecp256");
  });

  it("says that PFS may differ when only the rekey is refused", () => {
    const pair = establishedPair(3, { a: { espProposals: ["aes256gcm16-x25519"] }, b: { espProposals: ["aes256gcm16"] } });
    pair.run(1_000);
    rekey(pair, pair.a, "child");
    pair.run(5_000);
    expect(pair.a.link().state).toBe("up");
    expect(pair.a.link().lastFailure!.sentence).toMatch(/only shows at a rekey/);
    expect(pair.b.link().lastFailure!.sentence).toMatch(/key exchange: offered x25519, allowed none/);
  });

  it("rekeys by time before the hard lifetime, again and again, without a packet lost", () => {
    const pair = establishedPair(5, { both: { childRekeyMs: 60_000, ikeRekeyMs: 150_000 } });
    pair.run(1_000);
    const losses = watchFlow(pair);
    pair.run(900_000);
    expect(losses).toEqual([]);
    const rekeyed = pair.a.events.filter((event) => event.kind === "childSaRekeyed").length;
    expect(rekeyed).toBeGreaterThanOrEqual(14);
    expect(pair.a.failures()).toEqual([]);
    pair.runUntil(() => pair.a.link().ikeSas.length === 1 && pair.a.inbound.size === 1 && pair.b.inbound.size === 1, 60_000);
    expectSettled(pair);
  });

  it("rekeys when the data plane says that bytes or packets are used up", () => {
    const pair = establishedPair();
    pair.run(1_000);
    const child = pair.a.link().ikeSas[0]!.children[0]!;
    pair.give(pair.a, { kind: "expire", childSaId: child.id, spi: child.outboundSpi, hard: false });
    pair.run(5_000);
    expectSettled(pair);
    expect(pair.a.link().ikeSas[0]!.children[0]!.id).not.toBe(child.id);
  });
});
