import { describe, expect } from "vitest";
import { forgeRequest, ikeSaOf } from "../../testing/forgery.ts";
import { type Bench, deleteChild, type ExchangeCase, rekey, testExchanges } from "../../testing/exchange-case.ts";
import type { Side } from "../../testing/pair.ts";
import { ExchangeType, ProtocolId } from "../../wire/iana.ts";
import type { EspSpi, Payload } from "../../wire/ikev2/message-types.ts";
import { childrenOf } from "../ike-sa.ts";
import { spiOctets } from "../v2/child-negotiation.ts";

/* Deleting a Child SA (RFC 7296 §1.4.1, §2.25.1). a starts the link, so that it makes the Child SA anew afterwards. */

const SIDES = ["a", "b"] as const;

function other(bench: Bench, side: Side): Side {
  return side === bench.a ? bench.b : bench.a;
}

function childOf(side: Side) {
  return [...childrenOf(ikeSaOf(side)).values()][0]!;
}

function deletion(...spis: EspSpi[]): Payload {
  return { kind: "delete", protocolId: ProtocolId.ESP, spis: spis.map(spiOctets) };
}

/** The payloads of the last answer that the side has sent. */
function lastAnswer(side: Side): string {
  const entry = side.trace.filter((one) => one.direction === "sent" && one.detail["response"] === true).at(-1)!;
  return JSON.stringify(entry.detail["payloads"]);
}

function expectAnew(bench: Bench): void {
  expect(bench.a.events.filter((event) => event.kind === "childSaDeleted").length).toBe(1);
  expect(bench.b.events.filter((event) => event.kind === "childSaDeleted").length).toBe(1);
}

const alone = SIDES.flatMap((who): ExchangeCase[] => [
  {
    name: `${who} deletes: the other end's half goes with the answer`,
    interrupts: true,
    play: (bench) => {
      const [deleter, answerer] = [bench[who], other(bench, bench[who])];
      const theirs = childOf(answerer).inbound.spi;
      deleteChild(bench, deleter);
      bench.courier.deliver(deleter);
      expect(lastAnswer(answerer)).toContain(Buffer.from(spiOctets(theirs)).toString("hex"));
      expect(childrenOf(ikeSaOf(answerer)).size).toBe(0);
      // Packets that were under way still arrive.
      expect(answerer.inbound.has(theirs)).toBe(true);
    },
    after: expectAnew,
  },
  {
    name: `${who} deletes and the DELETE is lost`,
    interrupts: true,
    play: (bench) => {
      deleteChild(bench, bench[who]);
      bench.courier.keep(bench[who]);
    },
    after: expectAnew,
  },
  {
    name: `${who} deletes and the answer is lost`,
    interrupts: true,
    play: (bench) => {
      deleteChild(bench, bench[who]);
      bench.courier.deliver(bench[who]);
      bench.courier.keep(other(bench, bench[who]));
    },
    after: expectAnew,
  },
  {
    name: `${who} deletes and the DELETE comes twice`,
    interrupts: true,
    play: (bench) => {
      deleteChild(bench, bench[who]);
      bench.courier.hand(bench.courier.deliver(bench[who]));
    },
    after: expectAnew,
  },
]);

const crossing: ExchangeCase[] = [
  ...SIDES.map(
    (first): ExchangeCase => ({
      name: `both ends delete at once, the DELETE of ${first} arrives first: neither answer names an SPI`,
      interrupts: true,
      play: (bench) => {
        deleteChild(bench, bench.a);
        deleteChild(bench, bench.b);
        bench.courier.deliver(bench[first]);
        bench.courier.deliver(other(bench, bench[first]));
        expect([lastAnswer(bench.a), lastAnswer(bench.b)]).toEqual(["[]", "[]"]);
      },
      after: expectAnew,
    }),
  ),
  ...SIDES.map(
    (lost): ExchangeCase => ({
      name: `both ends delete at once and the DELETE of ${lost} is lost`,
      interrupts: true,
      play: (bench) => {
        deleteChild(bench, bench.a);
        deleteChild(bench, bench.b);
        bench.courier.keep(bench[lost]);
      },
      after: expectAnew,
    }),
  ),
];

/** What a peer should not send: nothing changes, and it is answered all the same. */
const wrong = SIDES.flatMap((who): ExchangeCase[] => [
  {
    name: `${who} is told to delete an SPI that nobody has`,
    play: (bench) => {
      const asker = other(bench, bench[who]);
      bench.courier.hand(forgeRequest(asker, bench[who], ExchangeType.INFORMATIONAL, [deletion(4_711 as EspSpi)]));
      expect(lastAnswer(bench[who])).toBe("[]");
      bench.courier.keep(bench[who]);
    },
    after: (bench) => expect(bench[who].events.filter((event) => event.kind === "childSaDeleted")).toEqual([]),
  },
  {
    name: `${who} is told to delete by its own inbound SPI instead of the peer's: not the half that is meant`,
    play: (bench) => {
      const asker = other(bench, bench[who]);
      bench.courier.hand(forgeRequest(asker, bench[who], ExchangeType.INFORMATIONAL, [deletion(childOf(bench[who]).inbound.spi)]));
      expect(lastAnswer(bench[who])).toBe("[]");
      bench.courier.keep(bench[who]);
    },
    after: (bench) => expect(bench[who].events.filter((event) => event.kind === "childSaDeleted")).toEqual([]),
  },
  {
    name: `${who} is told to delete the same SPI twice in one message: it answers with one`,
    interrupts: true,
    forges: true,
    play: (bench) => {
      const [deleted, asker] = [bench[who], other(bench, bench[who])];
      const child = childOf(asker);
      const inbound = childOf(deleted).inbound.spi;
      bench.courier.hand(forgeRequest(asker, deleted, ExchangeType.INFORMATIONAL, [deletion(child.inbound.spi, child.inbound.spi)]));
      expect(lastAnswer(deleted).split(Buffer.from(spiOctets(inbound)).toString("hex")).length).toBe(2);
      bench.courier.keep(deleted);
      // The other end forgets its half too, as who sent this would have.
      bench.pair.give(asker, { kind: "installFailed", childSaId: child.id, reason: "test" });
    },
  },
  {
    name: `${who} is told in a rekey to delete the new Child SA in place of the old: the traffic goes on`,
    forges: true,
    interrupts: true,
    play: (bench) => {
      const [asker, answerer] = [bench[who], other(bench, bench[who])];
      rekey(bench, asker, "child");
      bench.courier.deliver(asker);
      bench.courier.deliver(answerer);
      const fresh = [...childrenOf(ikeSaOf(answerer)).values()].at(-1)!;
      bench.courier.hand(forgeRequest(answerer, asker, ExchangeType.INFORMATIONAL, [deletion(fresh.inbound.spi)]));
      bench.pair.give(answerer, { kind: "installFailed", childSaId: fresh.id, reason: "test" });
    },
  },
]);

const overtaking = SIDES.map(
  (who): ExchangeCase => ({
    name: `${who} rekeys and the other end's DELETE of the new Child SA arrives half a millisecond before the answer`,
    interrupts: true,
    play: (bench) => {
      const [asker, answerer] = [bench[who], other(bench, bench[who])];
      rekey(bench, asker, "child");
      bench.courier.deliver(asker);
      const fresh = [...childrenOf(ikeSaOf(answerer)).values()].at(-1)!;
      bench.pair.give(answerer, { kind: "expire", childSaId: fresh.id, spi: fresh.outboundSpi, hard: true });
      bench.courier.deliver(answerer, 1);
      bench.courier.deliver(answerer);
    },
  }),
);

describe("one end deletes a Child SA", () => testExchanges(alone));
describe("both ends delete a Child SA", () => testExchanges(crossing));
describe("DELETE payloads that no peer should send", () => testExchanges(wrong));
describe("a DELETE that overtakes the answer which makes what it deletes", () => testExchanges(overtaking));
