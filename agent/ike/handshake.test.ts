import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import { Pair, establishedPair, linkConfigs } from "../testing/pair.ts";
import { fromPrefix } from "../ipsec/traffic-selector.ts";

/** Configures both ends and lets them try for `ms`. */
function attempt(overrides: Parameters<typeof linkConfigs>[0], ms = 10_000, pair = new Pair(1)): Pair {
  const configs = linkConfigs(overrides);
  pair.give(pair.b, { kind: "setLink", link: configs.b });
  pair.give(pair.a, { kind: "setLink", link: configs.a });
  pair.run(ms);
  return pair;
}

const key = (id: string, text: string) => ({ id, secret: new TextEncoder().encode(text) });
const psk = (use: string, ...keys: ReturnType<typeof key>[]) => ({ credentials: { method: "psk" as const, keys, use } });

describe("IKE_SA_INIT and IKE_AUTH", () => {
  it("takes four messages, and both ends hold the same SAs with the same keys", () => {
    const pair = establishedPair();
    pair.run(100);
    expect(pair.link.sent.length).toBe(4);
    const inbound = [...pair.b.inbound.values()][0]!;
    const outbound = [...pair.a.outbound.values()][0]!;
    expect(outbound.spi).toBe(inbound.spi);
    expect(outbound.keys).toEqual(inbound.keys);
    expect(pair.a.policies.get("link/net")!.action).toEqual({ kind: "protect", spi: inbound.spi });
    expect(pair.a.events.map((event) => event.kind)).toEqual(["ikeSaEstablished", "childSaEstablished", "linkUp"]);
  });

  it("drops the link's traffic until there is an SA, and when there is none any more", () => {
    const pair = attempt({}, 0);
    expect(pair.a.policies.get("link/net")!.action).toEqual({ kind: "discard" });
    pair.run(1_000);
    expect(pair.a.policies.get("link/net")!.action.kind).toBe("protect");
    pair.give(pair.b, { kind: "down", linkId: "link" });
    pair.run(500);
    expect(pair.a.policies.get("link/net")!.action).toEqual({ kind: "discard" });
  });

  const ikeSuites = [
    "aes128gcm16-prfsha256-x25519",
    "aes256gcm8-prfsha256-ecp256",
    "aes256gcm12-prfsha512-ecp384",
    "aes256ccm16-prfsha384-ecp521",
    "chacha20poly1305-prfsha256-x448",
    "aes128-sha256-modp2048",
    "aes192-sha384-modp3072",
    "aes256-sha512-modp4096",
    "aes256ctr-sha256-x25519",
  ];
  for (const suite of ikeSuites) {
    it(`agrees on the IKE suite ${suite}`, () => {
      const pair = establishedPair(2, { both: { ikeProposals: [suite] } });
      expect(pair.b.link().ikeSas[0]!.suite).toBe(suite.replace(/^(aes\d+(?:ctr)?)-(sha\d+)-/, "$1-$2-prf$2-"));
    });
  }

  for (const suite of [
    "aes128gcm16",
    "aes256gcm8",
    "aes192gcm12",
    "aes128ccm16",
    "aes256ccm8",
    "chacha20poly1305",
    "aes128-sha256",
    "aes256-sha384",
    "aes256-sha512",
    "aes128ctr-sha256",
    "aes256gcm16-esn",
  ]) {
    it(`agrees on the ESP suite ${suite}`, () => {
      const pair = establishedPair(2, { both: { espProposals: [suite] } });
      expect(pair.a.link().ikeSas[0]!.children[0]!.suite).toBe(suite);
      expect([...pair.a.outbound.values()][0]!.keys).toEqual([...pair.b.inbound.values()][0]!.keys);
    });
  }

  it("follows the initiator's order among the proposals that both allow", () => {
    const pair = establishedPair(1, {
      a: { ikeProposals: ["aes256-sha256-modp2048", "aes128gcm16-prfsha256-x25519"] },
      b: { ikeProposals: ["aes128gcm16-prfsha256-x25519", "aes256-sha256-modp2048"] },
    });
    expect(pair.b.link().ikeSas[0]!.suite).toBe("aes256-sha256-prfsha256-modp2048");
  });

  it("repeats the request with the group that the responder wants", () => {
    const pair = establishedPair(1, { a: { ikeProposals: ["aes256gcm16-prfsha384-x25519-ecp384"] }, b: { ikeProposals: ["aes256gcm16-prfsha384-ecp384"] } });
    expect(pair.link.sent.length).toBe(6);
    expect(pair.a.link().ikeSas[0]!.suite).toBe("aes256gcm16-prfsha384-ecp384");
  });

  it("returns the cookie that a busy responder asks for, which remembers nothing until then", () => {
    const pair = attempt({}, 500, new Pair(1, { b: { cookieThreshold: 0 } }));
    expect(pair.bothUp()).toBe(true);
    expect(pair.link.sent.length).toBe(6);
    expect(pair.a.trace.some((entry) => entry.summary.includes("COOKIE"))).toBe(true);
  });

  it("remembers nothing of a flood beyond the threshold, and forgets what is half open in time", () => {
    const pair = new Pair(1, { b: { cookieThreshold: 10, halfOpenLimit: 20 } });
    pair.give(pair.b, { kind: "setLink", link: linkConfigs().b });
    const requests = collectInitRequests(30);
    const flood = () => {
      for (const bytes of requests)
        pair.give(pair.b, { kind: "datagram", local: { address: "192.0.2.2", port: 500 }, remote: { address: "192.0.2.1", port: 500 }, bytes });
    };
    flood();
    // Ten whole answers, twenty cookies: 28 octets of header, a notify of 8 and the cookie of 33.
    expect(pair.link.sent.filter((packet) => packet.bytes.length === 69).length).toBe(20);
    const answers = pair.link.sent.map((packet) => packet.bytes);
    flood();
    expect(pair.link.sent.slice(30).map((packet) => packet.bytes)).toEqual(answers);
    expect(pair.b.endpoint.nextTimer()!.reason).toBe("half-open IKE SA");
    pair.run(60_000);
    expect(pair.b.endpoint.nextTimer()).toBeNull();
  });

  it("lets nobody in at the limit of half-open IKE SAs, also with a cookie", () => {
    const pair = new Pair(1, { b: { cookieThreshold: 0, halfOpenLimit: 0 } });
    const configs = linkConfigs();
    pair.give(pair.b, { kind: "setLink", link: configs.b });
    pair.give(pair.a, { kind: "setLink", link: configs.a });
    pair.run(40_000);
    expect(pair.a.link().state).not.toBe("up");
    expect(pair.b.trace.some((entry) => entry.summary.includes("half open, the limit"))).toBe(true);
  });

  it("keeps to one IKE SA and sends the same octets when an IKE_SA_INIT comes twice", () => {
    const pair = new Pair(1);
    pair.give(pair.b, { kind: "setLink", link: linkConfigs().b });
    const [bytes] = collectInitRequests(1);
    for (let time = 0; time < 2; time++)
      pair.give(pair.b, { kind: "datagram", local: { address: "192.0.2.2", port: 500 }, remote: { address: "192.0.2.1", port: 500 }, bytes: bytes! });
    expect(pair.link.sent.length).toBe(2);
    expect(pair.link.sent[0]!.bytes).toEqual(pair.link.sent[1]!.bytes);
  });

  it("goes to the NAT-T port and encapsulates when either side asks for it", () => {
    for (const side of ["a", "b"] as const) {
      const pair = establishedPair(1, { [side]: { forceEncapsulation: true } });
      for (const end of [pair.a, pair.b]) {
        expect([...end.inbound.values()][0]!.encapsulation).toBe("udp");
        expect(end.link().ikeSas[0]!.remote.port).toBe(4500);
        expect(end.link().ikeSas[0]!.local.port).toBe(4500);
      }
    }
  });

  it("uses plain ESP on port 500 without a NAT", () => {
    const pair = establishedPair();
    expect([...pair.a.inbound.values()][0]!.encapsulation).toBe("none");
    expect(pair.a.link().ikeSas[0]!.nat).toBe("none");
  });

  it("makes the children that IKE_AUTH has no room for", () => {
    const net = (text: string) => [fromPrefix(text)];
    const pair = establishedPair(1, {
      a: {
        children: [
          { name: "one", localSelectors: net("10.1.0.0/24"), remoteSelectors: net("10.2.0.0/24") },
          { name: "two", localSelectors: net("10.1.1.0/24"), remoteSelectors: net("10.2.1.0/24") },
          { name: "three", localSelectors: net("10.1.2.0/24"), remoteSelectors: net("10.2.2.0/24") },
        ],
      },
      b: {
        children: [
          { name: "three", localSelectors: net("10.2.2.0/24"), remoteSelectors: net("10.1.2.0/24") },
          { name: "one", localSelectors: net("10.2.0.0/24"), remoteSelectors: net("10.1.0.0/24") },
          { name: "two", localSelectors: net("10.2.1.0/24"), remoteSelectors: net("10.1.1.0/24") },
        ],
      },
    });
    expect(pair.a.link().ikeSas.length).toBe(1);
    expect(pair.b.link().ikeSas[0]!.children.map((child) => child.name)).toEqual(["one", "two", "three"]);
  });

  it("narrows the initiator's selectors to what the responder allows", () => {
    const pair = establishedPair(1, {
      a: { children: [{ name: "net", localSelectors: [fromPrefix("10.1.0.0/16")], remoteSelectors: [fromPrefix("0.0.0.0/0")] }] },
    });
    for (const side of [pair.a, pair.b]) expect(side.link().ikeSas[0]!.children[0]!).toBeDefined();
    expect(pair.a.link().ikeSas[0]!.children[0]!.localSelectors).toEqual([fromPrefix("10.1.0.0/24")]);
    expect(pair.a.link().ikeSas[0]!.children[0]!.remoteSelectors).toEqual([fromPrefix("10.2.0.0/24")]);
  });

  it("claims for the link what the peer has not taken: the data plane lets that through nowhere", () => {
    const wide = { localSelectors: [fromPrefix("10.1.0.0/16")], remoteSelectors: [fromPrefix("0.0.0.0/0")] };
    const pair = establishedPair(1, { a: { children: [{ name: "net", ...wide }] } });
    const policies = [pair.a, pair.b].map((side) => side.policies.get("link/net"));
    expect(policies.map((policy) => policy?.localSelectors)).toEqual([[fromPrefix("10.1.0.0/24")], [fromPrefix("10.2.0.0/24")]]);
    expect(policies.map((policy) => policy?.claims)).toEqual([wide, undefined]);
  });

  it("tells links of one address pair apart by identity, each with its own key", () => {
    const pair = new Pair(1);
    for (const id of ["x", "y"]) {
      const configs = linkConfigs({
        both: { id, ...psk("k", key("k", `key of ${id}`)) },
        a: { localIdentity: { kind: "fqdn", name: `${id}.a` } },
        b: { remoteIdentity: { kind: "fqdn", name: `${id}.a` } },
      });
      pair.give(pair.b, { kind: "setLink", link: configs.b });
      pair.give(pair.a, { kind: "setLink", link: configs.a });
    }
    pair.run(5_000);
    for (const id of ["x", "y"]) expect([pair.a.link(id).state, pair.b.link(id).state]).toEqual(["up", "up"]);
  });
});

describe("pre-shared keys", () => {
  it("the responder takes any of its keys and answers with the same one", () => {
    const pair = establishedPair(1, { a: psk("new", key("new", "n")), b: psk("old", key("old", "o"), key("staged", "n")) });
    expect(pair.a.link().ikeSas[0]!.credentialId).toBe("new");
    expect(pair.b.link().ikeSas[0]!.credentialId).toBe("staged");
  });

  it("says on both sides that the keys differ", () => {
    const pair = attempt({ b: psk("other", key("other", "wrong")) }, 900);
    expect(pair.a.failures()).toEqual([
      'AUTHENTICATION_FAILED: The peer refused to authenticate a.example to b.example: the pre-shared keys differ (the peer does not hold this side\'s key "k1"), or it expects other identities.',
    ]);
    expect(pair.b.failures()).toEqual(["AUTHENTICATION_FAILED: The pre-shared keys differ: a.example does not prove a key that this side holds."]);
    expect(pair.a.inbound.size + pair.b.inbound.size).toBe(0);
  });

  it("names both identities when they do not match, whichever side is wrong", () => {
    const asResponder = attempt({ b: { remoteIdentity: { kind: "fqdn", name: "c.example" } } }, 900);
    expect(asResponder.b.failures()[0]).toContain("The peer says it is a.example; this side expects c.example.");
    const asTarget = attempt({ a: { remoteIdentity: { kind: "fqdn", name: "c.example" } } }, 900);
    expect(asTarget.b.failures()[0]).toContain("The peer wants to reach c.example; this side is b.example.");
  });

  it("keeps every key, AUTH value and secret out of the trace and the events", () => {
    const pair = establishedPair();
    pair.give(pair.a, { kind: "rekey", linkId: "link", what: "all" });
    pair.run(5_000);
    const said = JSON.stringify([pair.a.trace, pair.a.events, pair.b.trace, pair.b.events], (_key, value: unknown) =>
      typeof value === "bigint" ? value.toString(16) : value instanceof Uint8Array ? Buffer.from(value).toString("hex") : value,
    );
    const hidden = [...pair.a.inbound.values(), ...pair.a.outbound.values()].map((sa) => Buffer.from(sa.keys.encryptionKey).toString("hex"));
    for (const value of [...hidden, "a pre-shared key of the tests", createHash("sha1").update("x").digest("hex")]) expect(said).not.toContain(value);
  });
});

describe("refusals", () => {
  it("NO_PROPOSAL_CHOSEN for IKE names both lists and the first difference", () => {
    const pair = attempt(
      { a: { ikeProposals: ["aes256gcm16-prfsha384-x25519"] }, b: { ikeProposals: ["aes256gcm16-prfsha384-ecp256", "aes256-sha256-modp2048"] } },
      4_000,
    );
    expect(pair.b.failures()[0]).toBe(
      "NO_PROPOSAL_CHOSEN: No common IKE proposal: the peer offers aes256gcm16-prfsha384-x25519; this side allows aes256gcm16-prfsha384-ecp256, aes256-sha256-modp2048 (key exchange: offered x25519, allowed ecp256).",
    );
    expect(pair.a.failures()[0]).toBe(
      "NO_PROPOSAL_CHOSEN: The peer accepts none of the IKE proposals that this side offered: aes256gcm16-prfsha384-x25519. Or it has no link for this gateway: it may be down there, deleted, not applied yet, or between other addresses.",
    );
  });

  it("a forged error in the clear does not stop a handshake that goes well", () => {
    const pair = new Pair(1);
    const configs = linkConfigs();
    pair.give(pair.b, { kind: "setLink", link: configs.b });
    pair.give(pair.a, { kind: "setLink", link: configs.a });
    const refusing = new Pair(9);
    refusing.give(refusing.b, {
      kind: "datagram",
      local: { address: "192.0.2.2", port: 500 },
      remote: { address: "192.0.2.1", port: 500 },
      bytes: pair.link.sent[0]!.bytes,
    });
    const forged = refusing.link.sent[0]!.bytes;
    pair.give(pair.a, { kind: "datagram", local: { address: "192.0.2.1", port: 500 }, remote: { address: "192.0.2.2", port: 500 }, bytes: forged });
    expect(pair.runUntil(() => pair.bothUp(), 1_000)).toBe(true);
  });

  it("NO_PROPOSAL_CHOSEN for ESP leaves the IKE SA up and is tried again", () => {
    const pair = attempt({ b: { espProposals: ["aes128gcm16"] } }, 10_000);
    expect(pair.a.link().ikeSas.map((sa) => sa.state)).toEqual(["established"]);
    expect(pair.b.failures()[0]).toBe(
      "NO_PROPOSAL_CHOSEN: No common ESP proposal: the peer offers aes256gcm16; this side allows aes128gcm16 (encryption: offered aes256gcm16, allowed aes128gcm16).",
    );
    expect(pair.a.failures()[0]).toContain("NO_PROPOSAL_CHOSEN: The peer accepts none of the ESP proposals that this side offered: aes256gcm16.");
    pair.give(pair.b, { kind: "setLink", link: linkConfigs().b });
    expect(pair.runUntil(() => pair.bothUp(), 120_000)).toBe(true);
  });

  it("TS_UNACCEPTABLE names both sides' selectors", () => {
    const pair = attempt(
      { b: { children: [{ name: "net", localSelectors: [fromPrefix("10.9.0.0/24")], remoteSelectors: [fromPrefix("10.1.0.0/24")] }] } },
      2_000,
    );
    expect(pair.b.failures()[0]).toBe(
      "TS_UNACCEPTABLE: The peer asks for traffic from 10.1.0.0/24 to 10.2.0.0/24; this side allows 10.1.0.0/24 to 10.9.0.0/24.",
    );
    expect(pair.a.failures()[0]).toBe('TS_UNACCEPTABLE: The peer accepts no part of the networks of "net": this side asked for 10.1.0.0/24 to 10.2.0.0/24.');
  });

  it("a silent peer: says which port was asked how often and what is likely in the way", () => {
    const pair = new Pair(1);
    pair.link.drops = () => true;
    pair.give(pair.a, { kind: "setLink", link: linkConfigs().a });
    pair.run(60_000);
    pair.link.drops = () => false;
    expect(pair.a.failures()[0]).toBe(
      "PEER_SILENT: The peer is silent: IKE_SA_INIT to 192.0.2.2 port 500 was sent 6 times without an answer; no gateway may run there, or a NAT or firewall is likely to drop UDP on that port.",
    );
    pair.give(pair.b, { kind: "setLink", link: linkConfigs().b });
    expect(pair.runUntil(() => pair.bothUp(), 120_000)).toBe(true);
  });

  it("retransmissions are the same octets", () => {
    const pair = new Pair(1);
    pair.link.drops = () => true;
    pair.give(pair.a, { kind: "setLink", link: linkConfigs().a });
    pair.run(20_000);
    const [first, ...again] = pair.link.sent;
    expect(again.length).toBeGreaterThan(2);
    for (const packet of again) expect(packet.bytes).toEqual(first!.bytes);
  });
});

function collectInitRequests(count: number): Uint8Array[] {
  return Array.from({ length: count }, (_unused, index) => {
    const pair = new Pair(1_000 + index);
    pair.give(pair.a, { kind: "setLink", link: linkConfigs().a });
    return pair.link.sent[0]!.bytes;
  });
}
