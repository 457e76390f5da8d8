import { describe, expect, it } from "vitest";
import { type DesiredLink, link as linkSchema } from "../../contract/desired-state.ts";
import { SeededRandom } from "../testing/seeded-random.ts";
import type { Draft } from "./draft.ts";
import { preflight, type PreflightResult } from "./preflight.ts";

const NOW = 1_800_000_000_000;

type Change = (link: Record<string, unknown>) => Record<string, unknown>;

function draft(site: "Amsterdam" | "Berlin", change: Change = (link) => link): Draft {
  const isA = site === "Amsterdam";
  const [own, other] = isA ? ["amsterdam.example.net", "berlin.example.net"] : ["berlin.example.net", "amsterdam.example.net"];
  const base = {
    id: "ams-ber",
    name: "Amsterdam – Berlin",
    initiate: isA ? "start" : "respond",
    local: { identity: own },
    remote: { identity: other, address: isA ? "198.51.100.2" : "198.51.100.1" },
    authentication: { method: "psk", keys: [{ id: "k1", secret: "planted-secret-of-the-preflight" }], use: "k1" },
    ike: { proposals: ["aes256gcm16-prfsha384-x25519"] },
    esp: { proposals: ["aes256gcm16-x25519"] },
    children: [{ name: "lan", localNetworks: [isA ? "10.1.0.0/24" : "10.2.0.0/24"], remoteNetworks: [isA ? "10.2.0.0/24" : "10.1.0.0/24"] }],
  };
  const link: DesiredLink = linkSchema.parse(change(base));
  return { site, gateway: { ikePort: 500, natPort: 4_500 }, link };
}

function run(changeA?: Change, changeB?: Change): PreflightResult {
  return preflight(draft("Amsterdam", changeA), draft("Berlin", changeB), NOW, new SeededRandom(5));
}

function sentence(result: PreflightResult): string {
  return result.outcome === "refused" ? result.sentence : "agreed";
}

describe("preflight", () => {
  it("says what two drafts that fit would agree on, with the group that only a rekey uses", () => {
    expect(run()).toEqual({
      outcome: "agreed",
      agreement: {
        initiator: "Amsterdam",
        ikeSuite: "aes256gcm16-prfsha384-x25519",
        encapsulation: "UDP, port 4500",
        authentication: "pre-shared key",
        ends: [
          { site: "Amsterdam", identity: "amsterdam.example.net", credentialId: "k1" },
          { site: "Berlin", identity: "berlin.example.net", credentialId: "k1" },
        ],
        children: [
          { name: "lan", protocol: "ESP", mode: "tunnel", suite: "aes256gcm16", rekeySuite: "aes256gcm16-x25519", networks: ["10.1.0.0/24", "10.2.0.0/24"] },
        ],
      },
      remarks: ["The key exchange is classical: what is recorded today can be read with a quantum computer (no ML-KEM in common)."],
    });
  });

  const refusals: readonly (readonly [string, Change, Change, string])[] = [
    [
      "no common group",
      (link) => ({ ...link, ike: { proposals: ["aes256gcm16-prfsha384-x25519"] } }),
      (link) => ({ ...link, ike: { proposals: ["aes256gcm16-prfsha384-modp2048"] } }),
      "Amsterdam offers group x25519 only for IKE, Berlin only modp2048: add x25519 to Berlin or modp2048 to Amsterdam.",
    ],
    [
      "PFS groups that differ: the link would come up and fail at its first rekey",
      (link) => ({ ...link, esp: { proposals: ["aes256gcm16-x25519"] } }),
      (link) => ({ ...link, esp: { proposals: ["aes256gcm16-ecp384"] } }),
      "The Child SA comes up and cannot be rekeyed: Amsterdam offers group x25519 only for ESP, Berlin only ecp384: add x25519 to Berlin or ecp384 to Amsterdam.",
    ],
    [
      "pre-shared keys that differ",
      (link) => link,
      (link) => ({ ...link, authentication: { method: "psk", keys: [{ id: "2026", secret: "another" }], use: "2026" } }),
      'The pre-shared keys differ: Amsterdam uses a key that Berlin does not hold (it tried "2026"): set the same key at Berlin and Amsterdam.',
    ],
    [
      "an identity that is not expected",
      (link) => ({ ...link, local: { identity: "ams.example.org" } }),
      (link) => link,
      "Amsterdam says it is ams.example.org, Berlin expects amsterdam.example.net: set the remote identity of Berlin to ams.example.org, or the local identity of Amsterdam to amsterdam.example.net.",
    ],
    [
      "networks that do not mirror each other",
      (link) => ({ ...link, children: [{ name: "lan", localNetworks: ["10.1.0.0/24"], remoteNetworks: ["10.9.0.0/24"] }] }),
      (link) => link,
      "Amsterdam asks for 10.1.0.0/24 to 10.9.0.0/24, Berlin allows 10.1.0.0/24 to 10.2.0.0/24: add 10.9.0.0/24 to the local networks of Berlin, or 10.2.0.0/24 to the remote networks of Amsterdam.",
    ],
    [
      "a port that nobody listens on",
      (link) => ({ ...link, remote: { identity: "berlin.example.net", address: "198.51.100.2", port: 501 } }),
      (link) => link,
      "Amsterdam calls Berlin on UDP port 501, Berlin listens on 500 and 4500: set the remote port of Amsterdam to 500.",
    ],
    [
      "an address that is another one's",
      (link) => link,
      (link) => ({ ...link, local: { identity: "berlin.example.net", address: "203.0.113.7" } }),
      "Amsterdam calls 198.51.100.2, Berlin has the address 203.0.113.7: set the remote address of Amsterdam to 203.0.113.7, or correct that of Berlin.",
    ],
    [
      "two ends that wait for each other",
      (link) => ({ ...link, initiate: "respond" }),
      (link) => link,
      "Neither Amsterdam nor Berlin starts the link: set initiate: start at one of them.",
    ],
    ["a disabled end", (link) => link, (link) => ({ ...link, enabled: false }), "The link is disabled at Berlin: enable it there."],
  ];
  for (const [name, a, b, expected] of refusals) it(`says why it would fail: ${name}`, () => expect(sentence(run(a, b))).toBe(expected));

  it.each(["Amsterdam", "Berlin"])("takes a packet to come at the end that waits for one: %s", (waiting) => {
    const [initiate, other] = waiting === "Amsterdam" ? (["onDemand", "respond"] as const) : (["respond", "onDemand"] as const);
    const result = run(
      (link) => ({ ...link, initiate }),
      (link) => ({ ...link, initiate: other }),
    );
    expect(result).toMatchObject({ outcome: "agreed", agreement: { initiator: waiting } });
  });

  it("follows an end behind a NAT, whose private address the other does not know", () => {
    const result = run((link) => ({ ...link, local: { identity: "amsterdam.example.net", address: "10.0.0.5" } }));
    expect(sentence(result)).toBe("agreed");
  });

  it("takes a host name for wherever the other end is, and says that it was not looked up", () => {
    const result = run((link) => ({ ...link, remote: { identity: "berlin.example.net", address: "vpn.example.net" } }));
    expect(result.outcome === "agreed" && result.remarks).toContain("Amsterdam calls vpn.example.net, which was not looked up.");
  });

  it("remarks on lifetimes that differ, narrowing, and keys without forward secrecy", () => {
    const result = run(
      (link) => ({
        ...link,
        esp: { proposals: ["aes256gcm16"], rekeySeconds: 600 },
        children: [{ name: "lan", localNetworks: ["10.1.0.0/16"], remoteNetworks: ["10.2.0.0/24"] }],
      }),
      (link) => ({ ...link, esp: { proposals: ["aes256gcm16"] } }),
    );
    expect(result.outcome === "agreed" && result.remarks.slice(1)).toEqual([
      'The Child SA "lan" has no perfect forward secrecy: its keys all come from the IKE SA.',
      'Berlin narrows "lan" from 10.1.0.0/16 to 10.2.0.0/24 down to 10.1.0.0/24 to 10.2.0.0/24.',
      "Amsterdam rekeys the Child SA after 10 min, Berlin after 60 min: Amsterdam will always do it.",
    ]);
  });

  const two = (own: number, other: number, third: string) => [
    { name: "lan", localNetworks: [`10.${own}.0.0/24`], remoteNetworks: [`10.${other}.0.0/24`] },
    { name: "voice", localNetworks: [`2001:db8:${own}::/48`], remoteNetworks: [third] },
  ];

  it("looks at every child, over IPv6 outside and inside", () => {
    const result = run(
      (link) => ({ ...link, remote: { identity: "berlin.example.net", address: "2001:db8:ffff::2" }, children: two(1, 2, "2001:db8:2::/48") }),
      (link) => ({ ...link, remote: { identity: "amsterdam.example.net", address: "2001:db8:ffff::1" }, children: two(2, 1, "2001:db8:1::/48") }),
    );
    expect(result.outcome === "agreed" && result.agreement.children.map((child) => child.networks)).toEqual([
      ["10.1.0.0/24", "10.2.0.0/24"],
      ["2001:db8:1::/48", "2001:db8:2::/48"],
    ]);
  });

  it("says why when only one of several children would fail", () => {
    const result = run(
      (link) => ({ ...link, children: two(1, 2, "2001:db8:9::/48") }),
      (link) => ({ ...link, children: two(2, 1, "2001:db8:1::/48") }),
    );
    expect(sentence(result)).toBe(
      "Amsterdam asks for 2001:db8:1::/48 to 2001:db8:9::/48, Berlin allows 10.1.0.0/24 to 10.2.0.0/24; 2001:db8:1::/48 to 2001:db8:2::/48: add 2001:db8:9::/48 to the local networks of Berlin, or 2001:db8:2::/48 to the remote networks of Amsterdam.",
    );
  });

  it("agrees when the called end knows the caller by no address, and when the caller is the second draft", () => {
    const result = run(
      (link) => ({ ...link, initiate: "respond", remote: { identity: "berlin.example.net" } }),
      (link) => ({ ...link, initiate: "start" }),
    );
    expect(result.outcome === "agreed" && result.agreement.initiator).toBe("Berlin");
  });

  it("says what AH and transport mode come to, and why they would not", () => {
    const ah: Change = (link) => ({ ...link, ah: { proposals: ["sha256-x25519"] } });
    const agreed = run(ah, ah);
    expect(agreed.outcome === "agreed" && agreed.agreement).toMatchObject({
      encapsulation: "none",
      children: [{ protocol: "AH", suite: "sha256", rekeySuite: "sha256-x25519" }],
    });
    expect(agreed.outcome === "agreed" && agreed.remarks).toContain("The link uses AH: every packet is authenticated and none is encrypted.");
    expect(sentence(run(ah, (link) => ({ ...link, encapsulation: "plain" })))).toBe("Amsterdam offers AH, Berlin allows ESP only: use the same at both.");
    const behindNat: Change = (link) => ({ ...ah(link), local: { identity: "amsterdam.example.net", address: "10.0.0.5" } });
    expect(sentence(run(behindNat, ah))).toMatch(/uses AH, which cannot pass a NAT/);
    const hosts = (own: string, other: string, mode: string) => [{ name: "host", localNetworks: [own], remoteNetworks: [other], mode }];
    const [a, b] = ["198.51.100.1/32", "198.51.100.2/32"];
    const both = run(
      (link) => ({ ...link, children: hosts(a, b, "transport") }),
      (link) => ({ ...link, children: hosts(b, a, "preferTransport") }),
    );
    expect(both.outcome === "agreed" && both.agreement.children.map(({ mode }) => mode)).toEqual(["transport"]);
  });

  it("takes no more time than a page can wait for, with the largest groups too", () => {
    const started = performance.now();
    const large: Change = (link) => ({ ...link, ike: { proposals: ["aes256-sha512-modp8192"] }, esp: { proposals: ["aes256-sha512-modp8192"] } });
    expect(sentence(run(large, large))).toBe("agreed");
    expect(performance.now() - started).toBeLessThan(20_000);
  });

  it("tells nothing of the keys", () => {
    const wrong = run(
      (link) => link,
      (link) => ({ ...link, authentication: { method: "psk", keys: [{ id: "k1", secret: "planted-other" }], use: "k1" } }),
    );
    for (const result of [run(), wrong]) expect(JSON.stringify(result)).not.toContain("planted");
  });
});
