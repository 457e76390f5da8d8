import { describe, expect, it } from "vitest";
import type { UdpEndpoint } from "../ipsec/security-association.ts";
import { formatSelector, fromPrefix, parseSelector } from "../ipsec/traffic-selector.ts";
import { rekey, testExchanges } from "../testing/exchange-case.ts";
import { establishedPair, linkConfigs, Pair, type Side } from "../testing/pair.ts";
import { NotifyType } from "../wire/iana.ts";
import { IkeProtocolError } from "../wire/ikev2/protocol-error.ts";
import type { ChildConfig, ChildMode } from "./endpoint-types.ts";
import { notify } from "./messaging.ts";
import { modeAnswered } from "./v2/child-mode.ts";

/* Transport mode between the two gateways (RFC 7296 §1.3.1, §2.23.1). */

const INSIDE = { a: "192.0.2.1", b: "192.0.2.2" } as const;

function host(local: string, remote: string, mode: ChildMode | undefined): ChildConfig {
  const child = { name: "net", localSelectors: [fromPrefix(`${local}/32`)], remoteSelectors: [fromPrefix(`${remote}/32`)] };
  return mode === undefined ? child : { ...child, mode };
}

/** Both ends with a child between their addresses; `seen`: what each calls the other. */
function configs(modeA: ChildMode | undefined, modeB: ChildMode | undefined, seen: { readonly a: string; readonly b: string } = INSIDE) {
  return linkConfigs({
    a: { remoteAddresses: [seen.b], children: [host(INSIDE.a, seen.b, modeA)] },
    b: { remoteAddresses: [seen.a], children: [host(INSIDE.b, seen.a, modeB)] },
  });
}

function attempt(modeA: ChildMode | undefined, modeB: ChildMode | undefined): Pair {
  const pair = new Pair(3);
  const { a, b } = configs(modeA, modeB);
  pair.give(pair.b, { kind: "setLink", link: b });
  pair.give(pair.a, { kind: "setLink", link: a });
  pair.run(900);
  return pair;
}

function modes(side: Side): string[] {
  return [...side.inbound.values(), ...side.outbound.values()].map(({ mode }) => mode);
}

function selectorsOf(side: Side): string[] {
  const [sa] = side.inbound.values();
  return [sa?.localSelectors, sa?.remoteSelectors].map((list) => (list ?? []).map(formatSelector).join(", "));
}

describe("the mode of a Child SA", () => {
  it.each([
    ["transport", "transport", "transport"],
    ["preferTransport", "transport", "transport"],
    ["transport", "preferTransport", "transport"],
    ["preferTransport", "tunnel", "tunnel"],
    ["tunnel", "preferTransport", "tunnel"],
    [undefined, undefined, "tunnel"],
  ] as const)("asked for %s of %s is %s", (a, b, expected) => {
    const pair = attempt(a, b);
    expect(pair.bothUp()).toBe(true);
    for (const side of [pair.a, pair.b]) {
      expect(modes(side)).toEqual([expected, expected]);
      expect(side.link().ikeSas[0]?.children[0]?.mode).toBe(expected);
      expect(side.failures()).toEqual([]);
    }
    const found = pair.a.trace.filter((step) => step.detail["finding"] === "TRANSPORT_MODE_DECLINED").map((step) => step.summary);
    expect(found).toEqual(
      a === "preferTransport" && expected === "tunnel" ? [`The peer does not agree to transport mode for "net"; it is carried in tunnel mode.`] : [],
    );
  });

  it("is refused by an initiator that requires transport mode: nothing of it is left at either end", () => {
    const pair = attempt("transport", "tunnel");
    expect(pair.a.failures()).toEqual([
      'TRANSPORT_MODE_DECLINED: The peer does not agree to transport mode for "net", which this side requires; the Child SA is deleted.',
    ]);
    expect(pair.b.outbound.size).toBe(0);
    expect(pair.a.outbound.size).toBe(0);
    expect(pair.a.policies.get("link/net")?.action.kind).toBe("discard");
    // What was under way may still have come for a moment.
    pair.run(3_000);
    expect([...pair.a.bookkeeping, ...pair.b.bookkeeping]).toEqual([]);
    expect([pair.a, pair.b].map((side) => side.link().state)).not.toContain("up");
  });

  it("is refused by a responder that requires transport mode", () => {
    const pair = attempt("tunnel", "transport");
    expect(pair.b.failures()).toEqual(['NO_PROPOSAL_CHOSEN: The peer asks for tunnel mode; this side allows transport mode only for "net".']);
    expect([pair.a.inbound.size, pair.b.inbound.size]).toEqual([0, 0]);
  });

  it("is not the peer's alone to choose: an answer in transport mode to a request without it breaks the protocol", () => {
    const answer = [notify(NotifyType.USE_TRANSPORT_MODE)];
    expect(() => modeAnswered(host("192.0.2.1", "192.0.2.2", undefined), answer)).toThrow(IkeProtocolError);
    expect(modeAnswered(host("192.0.2.1", "192.0.2.2", "transport"), answer)).toBe("transport");
  });
});

/** Rewrites addresses between the two as NATs in front of them do: `a` and `b` are what the other one sees, ports stay. */
function placeNats(pair: Pair, seen: { readonly a: string; readonly b: string }): void {
  const send = pair.link.send.bind(pair.link);
  const outside = (endpoint: UdpEndpoint): UdpEndpoint => (endpoint.address === INSIDE.a ? { ...endpoint, address: seen.a } : { ...endpoint, address: seen.b });
  const inside = (endpoint: UdpEndpoint): UdpEndpoint =>
    endpoint.address === seen.a ? { ...endpoint, address: INSIDE.a } : { ...endpoint, address: INSIDE.b };
  pair.link.send = (from, to, bytes, now) => send(outside(from), inside(to), bytes, now);
}

describe("transport mode behind a NAT", () => {
  it.each([
    ["in front of the initiator", { a: "203.0.113.7", b: INSIDE.b }],
    ["in front of the responder", { a: INSIDE.a, b: "203.0.113.8" }],
    ["in front of both", { a: "203.0.113.7", b: "203.0.113.8" }],
  ])("%s: each end has its own address and the one that it sees of the other, through rekeys by either", (_where, seen) => {
    const pair = new Pair(3);
    placeNats(pair, seen);
    const { a, b } = configs("transport", "transport", seen);
    pair.give(pair.b, { kind: "setLink", link: b });
    pair.give(pair.a, { kind: "setLink", link: a });
    expect(pair.runUntil(() => pair.bothUp(), 5_000)).toBe(true);
    const check = () => {
      expect(selectorsOf(pair.a)).toEqual([`${INSIDE.a}/32`, `${seen.b}/32`]);
      expect(selectorsOf(pair.b)).toEqual([`${INSIDE.b}/32`, `${seen.a}/32`]);
      for (const side of [pair.a, pair.b])
        expect([...side.inbound.values(), ...side.outbound.values()].every((sa) => sa.mode === "transport" && sa.encapsulation === "udp")).toBe(true);
    };
    check();
    for (const side of [pair.a, pair.b]) {
      pair.give(side, { kind: "rekey", linkId: "link", what: "child" });
      pair.run(5_000);
      check();
    }
    expect([...pair.a.failures(), ...pair.b.failures()]).toEqual([]);
  });

  it("narrows ports and gives the peer its own addresses back", () => {
    const seen = { a: "203.0.113.7", b: INSIDE.b };
    const pair = new Pair(3);
    placeNats(pair, seen);
    const { a, b } = configs("transport", "transport", seen);
    const web = { ...b.children[0]!, localSelectors: [parseSelector(`${INSIDE.b}[tcp/80]`)] };
    pair.give(pair.b, { kind: "setLink", link: { ...b, children: [web] } });
    pair.give(pair.a, { kind: "setLink", link: a });
    expect(pair.runUntil(() => pair.bothUp(), 5_000)).toBe(true);
    expect(selectorsOf(pair.a)).toEqual([`${INSIDE.a}/32`, `${INSIDE.b}/32[tcp/80]`]);
    expect(selectorsOf(pair.b)).toEqual([`${INSIDE.b}/32[tcp/80]`, `${seen.a}/32`]);
  });
});

const transport = configs("transport", "transport");

describe("rekeying in transport mode", () =>
  testExchanges(
    (["a", "b"] as const).flatMap((who) => [
      {
        name: `${who} rekeys`,
        configs: { a: transport.a, b: transport.b },
        play: (bench) => rekey(bench, bench[who], "child"),
        after: (bench) => expect([...modes(bench.a), ...modes(bench.b)]).toEqual(["transport", "transport", "transport", "transport"]),
      },
      {
        name: `both rekey at once, the request of ${who} arrives first`,
        configs: { a: transport.a, b: transport.b },
        play: (bench) => {
          rekey(bench, bench.a, "child");
          rekey(bench, bench.b, "child");
          bench.courier.deliver(bench[who]);
        },
      },
    ]),
  ));

it("is negotiated anew when the configuration asks for another mode", () => {
  const pair = establishedPair(5, { a: configs("tunnel", "tunnel").a, b: configs("tunnel", "tunnel").b });
  const after = configs("transport", "transport");
  pair.give(pair.b, { kind: "setLink", link: after.b });
  pair.give(pair.a, { kind: "setLink", link: after.a });
  pair.run(20_000);
  expect(pair.bothUp()).toBe(true);
  for (const side of [pair.a, pair.b]) expect(modes(side)).toEqual(["transport", "transport"]);
});
