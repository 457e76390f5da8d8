import { describe, expect, it } from "vitest";
import { ExchangeType } from "../../wire/iana.ts";
import { parseHeader } from "../../wire/ikev2/header.ts";
import { fromPrefix } from "../../ipsec/traffic-selector.ts";
import { Courier } from "../../testing/courier.ts";
import type { Packet } from "../../testing/lossy-link.ts";
import { establishedPair, linkConfigs, type Pair } from "../../testing/pair.ts";
import { settlementFaults } from "../../testing/settlement.ts";

/*
 * Our answer makes a Child SA here; whether the peer has it too is known when the peer goes on (RFC 7296 §2.8). When the answer is lost again
 * and again the traffic must stay on, or find its way to, a Child SA that both have. Here a answers and b asks.
 */

const QUIET = { both: { livenessMs: 0 } } as const;

/** What a's policy points at, and whether b has it. */
function sentOver(pair: Pair, name = "net"): { readonly spi: number; readonly isThere: boolean } {
  const action = pair.a.policies.get(`link/${name}`)?.action;
  const spi = action?.kind === "protect" ? action.spi : 0;
  return { spi, isThere: pair.b.inbound.has(spi) };
}

/** b begins anew beside the old IKE SA; a has answered its IKE_AUTH, and the answer never arrives in the `ms` after which b begins once more. */
function answerInVain(pair: Pair, courier: Courier, ms: number): void {
  pair.give(pair.b, { kind: "reauthenticate", linkId: "link" });
  courier.deliver(pair.b);
  courier.deliver(pair.a);
  courier.deliver(pair.b);
  courier.keep(pair.a);
  pair.run(ms);
  while (courier.waiting(pair.b).length > 0) courier.keep(pair.b);
  // An attempt under the old configuration ends at once.
  const { b } = linkConfigs(QUIET);
  pair.give(pair.b, { kind: "setLink", link: { ...b, ikeProposals: [...b.ikeProposals, "aes128gcm16-prfsha256-x25519"] } });
}

/** From b's request to the moment at which b deletes the old IKE SA. That it has the new Child SA, which it says too, does not arrive. */
function beginAgain(pair: Pair, courier: Courier): void {
  courier.deliver(pair.b);
  courier.deliver(pair.a);
  courier.deliver(pair.b);
  courier.deliver(pair.a);
  expect(pair.b.link().ikeSas.map((sa) => sa.state)).toContain("deleting");
  const spiOf = (packet: Packet): bigint => parseHeader(packet.bytes).header.spiI;
  const made = pair.b.link().ikeSas.find((sa) => sa.state === "established");
  courier.keep(
    pair.b,
    courier.waiting(pair.b).findIndex((packet) => spiOf(packet) === made?.spiI),
  );
}

/** b has authenticated anew, and cannot close the old IKE SA: the answer that its DELETE has to wait for does not come. */
function replaceInVain(pair: Pair, courier: Courier): void {
  const before = sentOver(pair).spi;
  pair.give(pair.b, { kind: "rekey", linkId: "link", what: "child" });
  courier.keep(pair.b);
  pair.give(pair.b, { kind: "reauthenticate", linkId: "link" });
  courier.deliverAll();
  expect(pair.a.link().ikeSas.length).toBe(2);
  expect(sentOver(pair).spi).not.toBe(before);
}

function isAnswerOf(exchange: number, packet: Packet): boolean {
  const { header } = parseHeader(packet.bytes);
  return header.isResponse && header.exchangeType === exchange;
}

function settle(pair: Pair): void {
  const faults = settlementFaults(pair);
  expect(faults, faults.join("; ")).toEqual([]);
}

describe("answers that the peer never gets", () => {
  it("one from long before is not taken for the one that made the peer delete the old IKE SA", () => {
    const pair = establishedPair(7, QUIET);
    const courier = new Courier(pair);
    answerInVain(pair, courier, 10_000);
    beginAgain(pair, courier);
    courier.deliver(pair.b);
    expect(sentOver(pair).isThere).toBe(true);
    courier.leave();
    settle(pair);
  });

  it("of two from one moment the peer is asked which it has, and the traffic goes over that one", () => {
    const pair = establishedPair(7, QUIET);
    const courier = new Courier(pair);
    answerInVain(pair, courier, 0);
    beginAgain(pair, courier);
    courier.deliver(pair.b);
    // Two questions, and an answer to the one that b can read.
    expect(courier.waiting(pair.a).length).toBe(3);
    courier.deliverAll();
    expect(sentOver(pair).isThere).toBe(true);
    courier.leave();
    settle(pair);
  });

  it("the IKE SA before stays in use as long as the peer is heard on it and is not known to have the Child SA of the new one", () => {
    const pair = establishedPair(7, { both: { livenessMs: 10_000, childless: true } });
    const before = sentOver(pair).spi;
    pair.link.drops = (packet) => packet.from.address === pair.a.address && isAnswerOf(ExchangeType.CREATE_CHILD_SA, packet);
    const misses: number[] = [];
    pair.afterStep = () => {
      if (!sentOver(pair).isThere) misses.push(pair.clock.now());
    };
    pair.give(pair.b, { kind: "reauthenticate", linkId: "link" });
    pair.run(38_000);
    expect(pair.a.link().ikeSas.length).toBe(2);
    expect(sentOver(pair).spi).toBe(before);
    pair.link.drops = () => false;
    settle(pair);
    expect(misses).toEqual([]);
    expect(sentOver(pair).spi).not.toBe(before);
  });

  it("a peer that cannot close the old IKE SA yet says that it has what was made last on the new one, and the traffic goes there", () => {
    const pair = establishedPair(7, { both: { livenessMs: 0, childless: true } });
    const courier = new Courier(pair);
    replaceInVain(pair, courier);
    expect(sentOver(pair).isThere).toBe(true);
    courier.leave();
    settle(pair);
  });

  it("a peer that is silent on the new IKE SA and is heard on the old one may have given the new one up: the traffic goes over the old one", () => {
    const pair = establishedPair(7, QUIET);
    const courier = new Courier(pair);
    const before = sentOver(pair).spi;
    replaceInVain(pair, courier);
    const made = pair.a.link().ikeSas.at(-1)!;
    pair.give(pair.a, { kind: "expire", childSaId: made.children[0]!.id, spi: made.children[0]!.outboundSpi, hard: false });
    courier.leave("lose");
    // On the new one nothing arrives, and on the old one no answer: b cannot close it.
    pair.link.drops = (packet) =>
      parseHeader(packet.bytes).header.spiI === made.spiI || (packet.from.address === pair.a.address && isAnswerOf(ExchangeType.CREATE_CHILD_SA, packet));
    pair.run(4_000);
    expect(sentOver(pair)).toEqual({ spi: before, isThere: true });
    pair.link.drops = () => false;
    settle(pair);
  });

  it("once the peer goes on with the new IKE SA, the traffic is on that one, whatever becomes of the old one and of its DELETE", () => {
    const children = (local: number, remote: number) =>
      ["net", "two"].map((name, index) => ({
        name,
        localSelectors: [fromPrefix(`10.${local}.${index}.0/24`)],
        remoteSelectors: [fromPrefix(`10.${remote}.${index}.0/24`)],
      }));
    const pair = establishedPair(7, { ...QUIET, a: { children: children(1, 2) }, b: { children: children(2, 1) } });
    pair.run(1_000);
    const courier = new Courier(pair);
    const before = sentOver(pair).spi;
    pair.give(pair.b, { kind: "reauthenticate", linkId: "link" });
    courier.deliver(pair.b);
    courier.deliver(pair.a);
    courier.deliver(pair.b);
    courier.deliver(pair.a);
    expect(sentOver(pair).spi).toBe(before);
    // b asks for the second child, which it does not before it has the first.
    courier.deliver(pair.b);
    expect(sentOver(pair).spi).not.toBe(before);
    expect(sentOver(pair).isThere).toBe(true);
    courier.leave();
    settle(pair);
  });
});
