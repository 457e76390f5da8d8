import { describe, expect } from "vitest";
import { fromPrefix, toWire } from "../../ipsec/traffic-selector.ts";
import { answerInstead, forgeRequest, ikeSaOf } from "../../testing/forgery.ts";
import { type Bench, deleteChild, type ExchangeCase, rekey, testExchanges } from "../../testing/exchange-case.ts";
import type { Side } from "../../testing/pair.ts";
import { ExchangeType, Kex, NotifyType, ProtocolId } from "../../wire/iana.ts";
import type { EspSpi } from "../../wire/ikev2/message-types.ts";
import { childrenOf } from "../ike-sa.ts";
import { invalidKe, notify } from "../messaging.ts";
import { offer } from "../negotiation/choose-proposal.ts";
import { spiOctets } from "../v2/child-negotiation.ts";

/* Rekeying a Child SA from one end (RFC 7296 §1.3.3, §2.8), what gets in its way and what it is answered with (§2.25.1). */

const SIDES = ["a", "b"] as const;

function other(bench: Bench, side: Side): Side {
  return side === bench.a ? bench.b : bench.a;
}

function childOf(side: Side) {
  return [...childrenOf(ikeSaOf(side)).values()][0]!;
}

function expectRekeyed(bench: Bench, times: number): void {
  const rekeyed = (side: Side) => side.events.filter((event) => event.kind === "childSaRekeyed").length;
  expect([rekeyed(bench.a), rekeyed(bench.b)]).toEqual([times, times]);
}

const alone = SIDES.flatMap((who): ExchangeCase[] => [
  { name: `${who} rekeys`, play: (bench) => rekey(bench, bench[who], "child"), after: (bench) => expectRekeyed(bench, 1) },
  {
    name: `${who} rekeys with a key exchange of its own`,
    configs: { both: { espProposals: ["aes256gcm16-x25519-ecp256"] } },
    play: (bench) => rekey(bench, bench[who], "child"),
    after: (bench) => expectRekeyed(bench, 1),
  },
  {
    name: `${who} rekeys and is asked for another group`,
    configs: { [who]: { espProposals: ["aes256gcm16-x25519-ecp256"] }, [who === "a" ? "b" : "a"]: { espProposals: ["aes256gcm16-ecp256"] } },
    play: (bench) => rekey(bench, bench[who], "child"),
    after: (bench) => expectRekeyed(bench, 1),
  },
  ...["request", "answer", "DELETE", "answer to the DELETE"].map(
    (what, index): ExchangeCase => ({
      name: `${who} rekeys and the ${what} is lost`,
      play: (bench) => {
        rekey(bench, bench[who], "child");
        const [asker, answerer] = [bench[who], other(bench, bench[who])];
        for (let packet = 0; packet < index; packet++) bench.courier.deliver(packet % 2 === 0 ? asker : answerer);
        bench.courier.keep(index % 2 === 0 ? asker : answerer);
      },
      after: (bench) => expectRekeyed(bench, 1),
    }),
  ),
  {
    name: `${who} rekeys and every packet comes twice`,
    play: (bench) => {
      rekey(bench, bench[who], "child");
      for (let packet = 0; packet < 4; packet++) {
        const twice = bench.courier.deliver(packet % 2 === 0 ? bench[who] : other(bench, bench[who]));
        bench.courier.hand(twice);
      }
    },
    after: (bench) => expectRekeyed(bench, 1),
  },
  {
    name: `${who} rekeys what the peer has narrowed, and it is not narrowed further`,
    configs: {
      [who]: {
        children: [
          {
            name: "net",
            localSelectors: [fromPrefix("10.0.0.0/8")],
            remoteSelectors: [fromPrefix("10.0.0.0/8")],
          },
        ],
      },
    },
    play: (bench) => {
      const before = childOf(bench[who]).inbound.remoteSelectors;
      rekey(bench, bench[who], "child");
      bench.courier.deliverAll();
      expect(childOf(bench[who]).inbound.remoteSelectors).toEqual(before);
      rekey(bench, other(bench, bench[who]), "child");
      bench.courier.deliverAll();
      expect(childOf(bench[who]).inbound.remoteSelectors).toEqual(before);
    },
    after: (bench) => expectRekeyed(bench, 2),
  },
]);

/** The old Child SA goes on until a later rekey succeeds. */
const refused = (["TEMPORARY_FAILURE", "NO_PROPOSAL_CHOSEN", "TS_UNACCEPTABLE", "NO_ADDITIONAL_SAS"] as const).flatMap((error) =>
  SIDES.map(
    (who): ExchangeCase => ({
      name: `${who} is refused with ${error}: the old Child SA goes on and the rekey succeeds later`,
      play: (bench) => {
        const old = childOf(bench[who]).id;
        rekey(bench, bench[who], "child");
        answerInstead(bench.courier, bench[who], other(bench, bench[who]), [notify(NotifyType[error])]);
        expect(childOf(bench[who]).id).toBe(old);
        expect(bench[who].link().state).toBe("up");
        bench.courier.leave();
        expect(bench.pair.runUntil(() => childOf(bench[who]).id !== old, 65_000)).toBe(true);
      },
      after: (bench) => expectRekeyed(bench, 1),
    }),
  ),
);

const answers = SIDES.flatMap((who): ExchangeCase[] => [
  {
    name: `${who} is told CHILD_SA_NOT_FOUND: its half is of no use, and a new Child SA takes its place`,
    interrupts: true,
    forges: true,
    play: (bench) => {
      const [asker, answerer] = [bench[who], other(bench, bench[who])];
      // The peer has lost it without a word.
      const lost = childOf(answerer);
      rekey(bench, asker, "child");
      const spi = spiOctets(lost.outboundSpi);
      bench.pair.give(answerer, { kind: "installFailed", childSaId: lost.id, reason: "test" });
      bench.courier.keep(answerer);
      answerInstead(bench.courier, asker, answerer, [notify(NotifyType.CHILD_SA_NOT_FOUND, undefined, { protocolId: ProtocolId.ESP, spi })]);
    },
  },
  {
    name: `${who} is asked for the group that it sent: refused, and tried again later`,
    configs: { both: { espProposals: ["aes256gcm16-x25519"] } },
    play: (bench) => {
      const old = childOf(bench[who]).id;
      rekey(bench, bench[who], "child");
      answerInstead(bench.courier, bench[who], other(bench, bench[who]), [invalidKe(Kex.X25519)]);
      expect(bench.courier.waiting(bench[who])).toEqual([]);
      bench.courier.leave();
      expect(bench.pair.runUntil(() => childOf(bench[who]).id !== old, 65_000)).toBe(true);
    },
  },
  {
    name: `${who} never deletes the old Child SA: the other end does, after a minute`,
    play: (bench) => {
      const [asker, answerer] = [bench[who], other(bench, bench[who])];
      rekey(bench, asker, "child");
      bench.courier.deliver(asker);
      bench.courier.deliver(answerer);
      // It answers its own DELETE in the other's name, who never sees it.
      answerInstead(bench.courier, asker, answerer, [{ kind: "delete", protocolId: ProtocolId.ESP, spis: [] }]);
      expect(childrenOf(ikeSaOf(answerer)).size).toBe(2);
      bench.courier.leave();
      bench.pair.run(70_000);
      expect(childrenOf(ikeSaOf(answerer)).size).toBe(1);
    },
    forges: true,
  },
  {
    name: `${who} is asked to rekey a Child SA that it never had: CHILD_SA_NOT_FOUND, and nothing changes`,
    play: (bench) => {
      const [asked, asker] = [bench[who], other(bench, bench[who])];
      const child = childOf(asked);
      const link = asked.engine.links.get("link")!;
      const request = forgeRequest(asker, asked, ExchangeType.CREATE_CHILD_SA, [
        notify(NotifyType.REKEY_SA, undefined, { protocolId: ProtocolId.ESP, spi: spiOctets(0xdeadbeef as EspSpi) }),
        { kind: "sa", proposals: offer(link.esp, spiOctets(4_711 as EspSpi), false) },
        { kind: "nonce", data: new Uint8Array(32) },
        { kind: "tsi", selectors: child.inbound.remoteSelectors.map(toWire) },
        { kind: "tsr", selectors: child.inbound.localSelectors.map(toWire) },
      ]);
      bench.courier.hand(request);
      bench.courier.keep(asked);
      expect(asked.trace.at(-1)!.summary).toContain("N(CHILD_SA_NOT_FOUND)");
      expect(childOf(asked)).toBe(child);
    },
  },
  {
    name: `${who} is asked to rekey a Child SA that it is deleting: TEMPORARY_FAILURE`,
    interrupts: true,
    play: (bench) => {
      const asker = other(bench, bench[who]);
      deleteChild(bench, bench[who]);
      rekey(bench, asker, "child");
      bench.courier.deliver(asker);
      expect(bench[who].trace.at(-1)!.summary).toContain("N(TEMPORARY_FAILURE)");
    },
  },
]);

/** The same Child SA is rekeyed by one end and deleted by the other, in every order in which the two requests can arrive. */
const againstDelete = SIDES.flatMap((who) =>
  ["rekey first", "DELETE first", "refusal of the rekey first", "answer to the DELETE last", "the rekey is lost", "the DELETE is lost"].map(
    (order): ExchangeCase => ({
      name: `${who} rekeys what the other end deletes: ${order}`,
      interrupts: true,
      play: (bench) => {
        const [asker, deleter] = [bench[who], other(bench, bench[who])];
        rekey(bench, asker, "child");
        deleteChild(bench, deleter);
        const { courier } = bench;
        switch (order) {
          case "rekey first":
            courier.deliver(asker);
            return void courier.deliver(deleter);
          case "DELETE first":
            courier.deliver(deleter);
            return void courier.deliver(asker);
          case "refusal of the rekey first":
            courier.deliver(asker);
            return void courier.deliver(deleter, 1);
          case "answer to the DELETE last": {
            courier.deliver(deleter);
            const answer = courier.keep(asker, 1);
            courier.deliver(asker);
            courier.deliver(deleter);
            return courier.hand(answer);
          }
          case "the rekey is lost":
            return void courier.keep(asker);
          default:
            return void courier.keep(deleter);
        }
      },
    }),
  ),
);

/** A request for a Child SA meets the rekey or the end of its IKE SA (RFC 7296 §2.25.2). */
const againstIke = SIDES.flatMap((who): ExchangeCase[] => [
  ...(["first", "second"] as const).map(
    (order): ExchangeCase => ({
      name: `${who} rekeys the Child SA while the other end rekeys the IKE SA; its request arrives ${order}`,
      play: (bench) => {
        const [asker, answerer] = [bench[who], other(bench, bench[who])];
        rekey(bench, asker, "child");
        rekey(bench, answerer, "ike");
        const [early, late] = order === "first" ? [asker, answerer] : [answerer, asker];
        bench.courier.deliver(early);
        bench.courier.deliver(late);
      },
      after: (bench) => expectRekeyed(bench, 1),
    }),
  ),
  {
    name: `${who} rekeys the Child SA while both rekey the IKE SA`,
    play: (bench) => {
      rekey(bench, bench[who], "all");
      rekey(bench, other(bench, bench[who]), "ike");
    },
    after: (bench) => expectRekeyed(bench, 1),
  },
  {
    name: `${who} rekeys the Child SA on the new IKE SA before the DELETE of the old one has arrived`,
    play: (bench) => {
      const [asker, answerer] = [bench[who], other(bench, bench[who])];
      rekey(bench, asker, "ike");
      bench.courier.deliver(asker);
      bench.courier.deliver(answerer);
      rekey(bench, asker, "child");
      bench.courier.deliver(asker, 1);
    },
    after: (bench) => expectRekeyed(bench, 1),
  },
  {
    name: `${who} rekeys the Child SA on its new IKE SA while the other end's rekey of the IKE SA is unanswered`,
    play: (bench) => {
      const [asker, answerer] = [bench[who], other(bench, bench[who])];
      rekey(bench, asker, "ike");
      rekey(bench, answerer, "ike");
      // Its own request is lost, so that the asker sees no collision.
      bench.courier.keep(answerer);
      bench.courier.deliver(asker);
      bench.courier.deliver(answerer);
      rekey(bench, asker, "child");
      // Only what is on the new IKE SA.
      bench.courier.deliver(asker, 1);
      bench.courier.deliver(answerer);
    },
    after: (bench) => expectRekeyed(bench, 1),
  },
  {
    name: `${who} rekeys the Child SA while the other end deletes the IKE SA`,
    interrupts: true,
    play: (bench) => {
      const [asker, deleter] = [bench[who], other(bench, bench[who])];
      rekey(bench, asker, "child");
      bench.pair.give(deleter, { kind: "restart", linkId: "link" });
      bench.courier.deliver(asker);
      bench.courier.deliver(deleter);
    },
  },
]);

describe("one end rekeys a Child SA", () => testExchanges(alone));
describe("a rekey of a Child SA is refused", () => testExchanges(refused));
describe("answers about the rekey of a Child SA", () => testExchanges(answers));
describe("a Child SA is rekeyed and deleted at once", () => testExchanges(againstDelete));
describe("a Child SA is rekeyed while its IKE SA is", () => testExchanges(againstIke));
