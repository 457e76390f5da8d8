import { describe, expect, it } from "vitest";
import { fromPrefix } from "../ipsec/traffic-selector.ts";
import { watchFlow } from "../testing/flow-watch.ts";
import { establishedPair, linkConfigs, Pair, type Side } from "../testing/pair.ts";

function expectOneOfEach(pair: Pair): void {
  for (const side of [pair.a, pair.b]) {
    expect(side.link().ikeSas.map((sa) => [sa.state, sa.children.length])).toEqual([["established", 1]]);
    expect([side.inbound.size, side.outbound.size]).toEqual([1, 1]);
    expect(side.bookkeeping).toEqual([]);
  }
}

function expectNothing(side: Side): void {
  expect(side.link().ikeSas).toEqual([]);
  expect([side.inbound.size, side.outbound.size]).toEqual([0, 0]);
  expect(side.bookkeeping).toEqual([]);
}

describe("deleting", () => {
  for (const who of ["a", "b"] as const) {
    it(`the IKE SA by ${who} clears both ends and their data planes`, () => {
      const pair = establishedPair(1, { a: { initiate: "respond" }, b: { initiate: "start" } });
      pair.run(1_000);
      pair.give(pair[who], { kind: "down", linkId: "link" });
      pair.run(900);
      pair.give(pair.b, { kind: "down", linkId: "link" });
      pair.run(3_000);
      expectNothing(pair.a);
      expectNothing(pair.b);
      expect(pair.a.events.filter((event) => event.kind === "linkDown").length).toBe(1);
    });
  }

  it("both ends at once", () => {
    const pair = establishedPair();
    pair.give(pair.a, { kind: "down", linkId: "link" });
    pair.give(pair.b, { kind: "down", linkId: "link" });
    pair.run(40_000);
    expectNothing(pair.a);
    expectNothing(pair.b);
  });

  it("a link that the peer closed is begun anew after a pause, and one that is down is not let in", () => {
    const pair = establishedPair();
    pair.run(1_000);
    pair.give(pair.b, { kind: "down", linkId: "link" });
    pair.run(20_000);
    expect(pair.a.link().state).not.toBe("up");
    pair.give(pair.b, { kind: "up", linkId: "link" });
    expect(pair.runUntil(() => pair.bothUp(), 120_000)).toBe(true);
    pair.run(60_000);
    expectOneOfEach(pair);
  });

  it("removing a link deletes its SAs and policies and leaves the other link alone", () => {
    const pair = establishedPair();
    const other = linkConfigs({
      both: { id: "other" },
      a: { localIdentity: { kind: "fqdn", name: "other.a" } },
      b: { remoteIdentity: { kind: "fqdn", name: "other.a" } },
    });
    pair.give(pair.b, { kind: "setLink", link: other.b });
    pair.give(pair.a, { kind: "setLink", link: other.a });
    pair.run(2_000);
    const before = pair.a.link("other");
    pair.give(pair.a, { kind: "removeLink", linkId: "link" });
    pair.run(5_000);
    expect(pair.a.endpoint.snapshot(0).map((link) => link.linkId)).toEqual(["other"]);
    expect([...pair.a.policies.keys()]).toEqual(["other/net"]);
    expect(pair.a.link("other")).toEqual(before);
    expect([pair.a.inbound.size, pair.a.outbound.size]).toEqual([1, 1]);
    expectOneOfEachOf(pair, "other");
  });

  it("shutdown tells each peer once, then is silent", () => {
    const pair = establishedPair();
    pair.run(1_000);
    const before = pair.link.sent.length;
    pair.give(pair.a, { kind: "shutdown" });
    expect(pair.link.sent.length).toBe(before + 1);
    pair.run(2_500);
    expectNothing(pair.b);
  });
});

function expectOneOfEachOf(pair: Pair, linkId: string): void {
  for (const side of [pair.a, pair.b]) expect(side.link(linkId).ikeSas.map((sa) => [sa.state, sa.children.length])).toEqual([["established", 1]]);
}

describe("liveness", () => {
  it("asks after the idle time, and only then", () => {
    const pair = establishedPair(1, { a: { livenessMs: 10_000 }, b: { livenessMs: 0 } });
    const before = pair.link.sent.length;
    pair.run(9_500);
    expect(pair.link.sent.length).toBe(before);
    pair.run(1_000);
    expect(pair.link.sent.length).toBe(before + 2);
  });

  it("a peer that lost everything is given up and connected again", () => {
    const pair = establishedPair(1, { both: { livenessMs: 5_000 } });
    pair.run(1_000);
    const reborn = new Pair(77);
    const dead = pair.b.endpoint;
    // b's process is replaced by one that knows only its configuration.
    Object.assign(pair.b, { endpoint: reborn.b.endpoint });
    pair.b.inbound.clear();
    pair.b.outbound.clear();
    pair.give(pair.b, { kind: "setLink", link: linkConfigs({ both: { livenessMs: 5_000 } }).b });
    expect(pair.b.endpoint).not.toBe(dead);
    expect(pair.runUntil(() => pair.a.events.some((event) => event.kind === "failed" && event.code === "PEER_SILENT"), 60_000)).toBe(true);
    expect(pair.runUntil(() => pair.bothUp(), 60_000)).toBe(true);
    pair.run(5_000);
    expectOneOfEach(pair);
  });

  it("INITIAL_CONTACT of a peer that started anew removes what it had before", () => {
    const pair = establishedPair(1, { both: { livenessMs: 0 } });
    pair.run(1_000);
    Object.assign(pair.a, { endpoint: new Pair(78).a.endpoint });
    pair.a.inbound.clear();
    pair.a.outbound.clear();
    pair.a.policies.clear();
    pair.give(pair.a, { kind: "setLink", link: linkConfigs({ both: { livenessMs: 0 } }).a });
    pair.run(5_000);
    expectOneOfEach(pair);
    expect(pair.b.policies.get("link/net")!.action).toEqual({ kind: "protect", spi: [...pair.a.inbound.keys()][0] });
  });
});

describe("reauthentication", () => {
  for (const who of ["a", "b"] as const) {
    it(`by ${who} makes before it breaks, with the new key, without a packet lost`, () => {
      const pair = establishedPair();
      pair.run(1_000);
      const losses = watchFlow(pair);
      const keys = [
        { id: "k1", secret: new TextEncoder().encode("a pre-shared key of the tests") },
        { id: "k2", secret: new TextEncoder().encode("the next") },
      ];
      const rotated = linkConfigs({ both: { credentials: { method: "psk", keys, use: "k2" } } });
      const sas = pair.a.link().ikeSas;
      pair.give(pair.a, { kind: "setLink", link: rotated.a });
      pair.give(pair.b, { kind: "setLink", link: rotated.b });
      expect(pair.a.link().ikeSas).toEqual(sas);
      pair.give(pair[who], { kind: "reauthenticate", linkId: "link" });
      pair.run(10_000);
      expect(losses).toEqual([]);
      expectOneOfEach(pair);
      expect([pair.a.link().ikeSas[0]!.credentialId, pair.b.link().ikeSas[0]!.credentialId]).toEqual(["k2", "k2"]);
    });
  }

  it("both ends at once, and with a rekey in between, without a packet lost", () => {
    for (let seed = 1; seed <= 20; seed++) {
      const pair = establishedPair(seed);
      pair.run(1_000);
      const losses = watchFlow(pair);
      pair.give(pair.a, { kind: "reauthenticate", linkId: "link" });
      pair.give(pair.b, { kind: "reauthenticate", linkId: "link" });
      if (seed % 2 === 0) pair.give(pair.b, { kind: "rekey", linkId: "link", what: "all" });
      pair.run(90_000);
      expect(losses, `seed ${seed}`).toEqual([]);
      expectOneOfEach(pair);
    }
  });

  it("that fails keeps the old SA and says why", () => {
    const pair = establishedPair();
    pair.run(1_000);
    const losses = watchFlow(pair);
    const wrong = linkConfigs({ a: { credentials: { method: "psk", keys: [{ id: "k9", secret: Uint8Array.of(1) }], use: "k9" } } });
    const before = pair.a.link().ikeSas;
    pair.give(pair.a, { kind: "setLink", link: wrong.a });
    pair.give(pair.a, { kind: "reauthenticate", linkId: "link" });
    pair.run(500);
    expect(pair.a.link().ikeSas.map((sa) => sa.id)).toEqual(before.map((sa) => sa.id));
    expect(pair.a.link().lastFailure!.code).toBe("AUTHENTICATION_FAILED");
    expect(losses).toEqual([]);
  });

  it("happens by time, before the interval is over", () => {
    const pair = establishedPair(1, { both: { reauthenticateMs: 60_000 } });
    pair.run(1_000);
    const losses = watchFlow(pair);
    pair.run(200_000);
    expect(pair.a.events.filter((event) => event.kind === "ikeSaEstablished").length).toBeGreaterThanOrEqual(4);
    expect(losses).toEqual([]);
  });
});

describe("both ends start", () => {
  for (let seed = 1; seed <= 12; seed++) {
    it(`at once: exactly one IKE SA stays (seed ${seed})`, () => {
      const pair = new Pair(seed);
      const configs = linkConfigs({ both: { initiate: "start" } });
      pair.give(pair.a, { kind: "setLink", link: configs.a });
      pair.run(seed % 4 === 0 ? 15 : seed % 4 === 1 ? 0 : seed % 4 === 2 ? 5 : 25);
      pair.give(pair.b, { kind: "setLink", link: configs.b });
      pair.run(2_000);
      const losses = watchFlow(pair);
      pair.run(60_000);
      expectOneOfEach(pair);
      expect(losses).toEqual([]);
      expect(pair.a.link().ikeSas[0]!.spiI).toBe(pair.b.link().ikeSas[0]!.spiI);
    });
  }
});

describe("configuration changes", () => {
  it("the same link again has no effect at all", () => {
    const pair = establishedPair();
    pair.run(1_000);
    const { a } = linkConfigs();
    expect(pair.a.endpoint.handle({ kind: "setLink", link: a }, pair.clock.now())).toEqual([]);
  });

  it("lifetimes keep the SAs", () => {
    const pair = establishedPair();
    pair.run(1_000);
    const before = pair.a.link();
    pair.give(pair.a, { kind: "setLink", link: linkConfigs({ both: { livenessMs: 7_000, childRekeyMs: 100_000 } }).a });
    pair.run(5_000);
    expect(pair.a.link().ikeSas.map((sa) => sa.id)).toEqual(before.ikeSas.map((sa) => sa.id));
  });

  it("other proposals are negotiated beside the old SA, without a packet lost", () => {
    const pair = establishedPair();
    pair.run(1_000);
    const losses = watchFlow(pair);
    const changed = linkConfigs({ both: { ikeProposals: ["aes128gcm16-prfsha256-ecp256"], espProposals: ["chacha20poly1305"] } });
    pair.give(pair.a, { kind: "setLink", link: changed.a });
    pair.run(200);
    pair.give(pair.b, { kind: "setLink", link: changed.b });
    pair.run(60_000);
    expect(losses).toEqual([]);
    expectOneOfEach(pair);
    expect(pair.a.link().ikeSas[0]!.suite).toBe("aes128gcm16-prfsha256-ecp256");
    expect(pair.a.link().ikeSas[0]!.children[0]!.suite).toBe("chacha20poly1305");
  });

  it("a child that is added, changed or removed leaves the others' SAs alone", () => {
    const net = (text: string) => [fromPrefix(text)];
    const one = { name: "net", localSelectors: net("10.1.0.0/24"), remoteSelectors: net("10.2.0.0/24") };
    const two = { name: "two", localSelectors: net("10.1.1.0/24"), remoteSelectors: net("10.2.1.0/24") };
    const wide = { name: "two", localSelectors: net("10.1.2.0/23"), remoteSelectors: net("10.2.1.0/24") };
    const mirrored = (child: typeof one) => ({ name: child.name, localSelectors: child.remoteSelectors, remoteSelectors: child.localSelectors });
    const pair = establishedPair();
    pair.run(1_000);
    const spi = pair.a.link().ikeSas[0]!.children[0]!.inboundSpi;
    const change = (...children: (typeof one)[]) => {
      const configs = linkConfigs({ a: { children }, b: { children: children.map(mirrored) } });
      pair.give(pair.b, { kind: "setLink", link: configs.b });
      pair.give(pair.a, { kind: "setLink", link: configs.a });
      pair.run(20_000);
      expect(pair.a.link().state).toBe("up");
      expect(pair.a.link().ikeSas[0]!.children.find((child) => child.name === "net")!.inboundSpi).toBe(spi);
      return pair.a.link().ikeSas[0]!.children;
    };
    expect(change(one, two).map((child) => child.name)).toEqual(["net", "two"]);
    expect(change(one, wide).find((child) => child.name === "two")!.localSelectors).toEqual(net("10.1.2.0/23"));
    expect(change(one).map((child) => child.name)).toEqual(["net"]);
    expect([...pair.a.policies.keys()]).toEqual(["link/net"]);
    expect(pair.a.bookkeeping).toEqual([]);
  });

  it("proposals that cannot be read are refused before anything changes", () => {
    const pair = establishedPair();
    const bad = linkConfigs({ both: { ikeProposals: ["3des-md5-modp1024"] } }).a;
    expect(() => pair.a.endpoint.handle({ kind: "setLink", link: bad }, pair.clock.now())).toThrow(/3des/);
    expect(pair.a.link().state).toBe("up");
  });
});

describe("the data plane's word", () => {
  it("an SA that cannot be installed is closed with the peer and the link says why", () => {
    const pair = establishedPair();
    pair.run(1_000);
    const child = pair.a.link().ikeSas[0]!.children[0]!;
    pair.give(pair.a, { kind: "installFailed", childSaId: child.id, reason: "no room" });
    expect(pair.a.link().lastFailure!.sentence).toContain("no room");
    pair.run(10_000);
    expectOneOfEach(pair);
    expect(pair.b.link().ikeSas[0]!.children[0]!.outboundSpi).not.toBe(child.inboundSpi);
  });
});

describe("a data plane that takes no SA at all", () => {
  it("is asked again after a pause each time, not at once", () => {
    const pair = establishedPair();
    pair.run(1_000);
    let refused = 0;
    for (let step = 0; step < 1_000; step++) {
      for (const child of pair.a.link().ikeSas.flatMap((sa) => sa.children)) {
        if (child.state !== "established") continue;
        pair.give(pair.a, { kind: "installFailed", childSaId: child.id, reason: "no room" });
        refused += 1;
      }
      pair.run(10);
    }
    expect(refused).toBeGreaterThan(1);
    expect(refused).toBeLessThan(15);
  });
});

describe("lifetimes in octets and packets", () => {
  it("are rekeyed at, and pass nothing further past, what the configuration says", () => {
    const pair = establishedPair(3, { both: { childRekeyBytes: 1 << 30, childRekeyPackets: 1_000_000 } });
    for (const side of [pair.a, pair.b]) {
      const [sa] = side.outbound.values();
      expect(sa?.softBytes).toBeLessThanOrEqual(1 << 30);
      expect(sa?.softBytes).toBeGreaterThan(0.8 * (1 << 30));
      expect(sa?.hardBytes).toBeGreaterThan(1.1 * (1 << 30));
      expect(sa?.softPackets).toBeLessThanOrEqual(1_000_000);
      expect(sa?.hardPackets).toBeGreaterThan(1_100_000);
    }
    const [before] = pair.a.outbound.values();
    if (before === undefined) throw new Error("there is no outbound SA");
    pair.give(pair.a, { kind: "expire", childSaId: before.childSaId, spi: before.spi, hard: false });
    pair.run(5_000);
    expect([...pair.a.outbound.keys()]).not.toContain(before.spi);
    expectOneOfEach(pair);
  });

  it("are no limits where the configuration has none", () => {
    const [sa] = establishedPair(3).a.outbound.values();
    expect([sa?.softBytes, sa?.hardBytes, sa?.softPackets, sa?.hardPackets]).toEqual([undefined, undefined, undefined, undefined]);
  });
});
