import { describe, expect, it } from "vitest";
import { type Bench, deleteChild, type ExchangeCase, layBench, rekey, testExchanges } from "../../testing/exchange-case.ts";
import { answerInstead, forge, forgeRequest, ikeSaOf } from "../../testing/forgery.ts";
import type { Packet } from "../../testing/lossy-link.ts";
import type { Side } from "../../testing/pair.ts";
import { ExchangeType, NotifyType } from "../../wire/iana.ts";
import { parseHeader } from "../../wire/ikev2/header.ts";
import type { Payload } from "../../wire/ikev2/message-types.ts";
import { notify } from "../messaging.ts";

/*
 * INVALID_SYNTAX about an authentic request is fatal at both ends, without a DELETE (RFC 7296 §2.21.2, §2.21.3). strongSwan does so since 5.8.2,
 * as sender and as receiver; there are answers of this kind of which it does not, so the one who gets one says once that it is gone.
 */

const SIDES = ["a", "b"] as const;
const MALFORMED: Payload[] = [{ kind: "sa", proposals: [] }];
const INVALID_SYNTAX = [notify(NotifyType.INVALID_SYNTAX)];
const HYBRID = { both: { ikeProposals: ["aes256gcm16-prfsha384-x25519-ke1_mlkem512"], espProposals: ["aes256gcm16-x25519-ke1_mlkem512"] } };

function other(bench: Bench, side: Side): Side {
  return side === bench.a ? bench.b : bench.a;
}

/** The oldest waiting request of this side, with contents under the same keys that nobody can read. */
function garble(bench: Bench, asker: Side, payloads: readonly Payload[] = MALFORMED): Packet {
  const { header } = parseHeader(bench.courier.keep(asker).bytes);
  if (header.isResponse) throw new Error(`${asker.name}'s oldest packet is no request`);
  return forge(asker, other(bench, asker), { exchangeType: header.exchangeType, messageId: header.messageId, payloads });
}

function exchangesOf(bench: Bench, side: Side): [exchangeType: number, isResponse: boolean][] {
  return bench.courier.waiting(side).map(({ bytes }) => {
    const { exchangeType, isResponse } = parseHeader(bytes).header;
    return [exchangeType, isResponse];
  });
}

/** Nothing is left of it but, perhaps, its last answer. */
function expectGone(side: Side): void {
  expect([...side.engine.ikeSas.values()].filter((sa) => sa.phase.kind !== "closed")).toEqual([]);
  expect([side.outbound.size, side.policies.get("link/net")!.action.kind]).toEqual([0, "discard"]);
}

const ask = {
  "a rekey of the Child SA": (bench: Bench, side: Side) => rekey(bench, side, "child"),
  "a rekey of the IKE SA": (bench: Bench, side: Side) => rekey(bench, side, "ike"),
  "a DELETE of the Child SA": (bench: Bench, side: Side) => deleteChild(bench, side),
} as const;
const QUESTIONS = Object.entries(ask);

describe("a request that cannot be read", () => {
  testExchanges(
    SIDES.flatMap((who) =>
      QUESTIONS.map(
        ([what, begin]): ExchangeCase => ({
          interrupts: true,
          forges: true,
          name: `${what} by ${who}: the answer ends the IKE SA at both ends, and a new one follows`,
          play: (bench) => {
            const [asker, answerer] = [bench[who], other(bench, bench[who])];
            begin(bench, asker);
            const [{ exchangeType }] = [parseHeader(bench.courier.waiting(asker)[0]!.bytes).header];
            const request = garble(bench, asker);
            //  CREATE_CHILD_SA / INFORMATIONAL {?}  -->  <--  N(INVALID_SYNTAX)
            bench.courier.hand(request);
            expectGone(answerer);
            expect(exchangesOf(bench, answerer)).toEqual([[exchangeType, true]]);
            // The answer may get lost: the same octets answer the same request.
            const answer = bench.courier.keep(answerer);
            bench.courier.hand(request);
            expect(bench.courier.waiting(answerer).map((packet) => packet.bytes)).toEqual([answer.bytes]);
            bench.courier.deliver(answerer);
            expectGone(asker);
            //  INFORMATIONAL {D}  -->  which nobody answers
            expect(exchangesOf(bench, asker)).toEqual([[ExchangeType.INFORMATIONAL, false]]);
            bench.courier.deliverAll();
            expect(exchangesOf(bench, answerer)).toEqual([]);
            expect(answerer.failures().at(-1)).toMatch(/^INVALID_SYNTAX: The peer's (?:CREATE_CHILD_SA|INFORMATIONAL) breaks the protocol/);
            expect(asker.failures().at(-1)).toMatch(/^INVALID_SYNTAX: The peer could not read this side's (?:CREATE_CHILD_SA|INFORMATIONAL)/);
          },
          after: (bench) => expect(bench.a.link().state).toBe("up"),
        }),
      ),
    ),
  );

  testExchanges(
    SIDES.flatMap((who): ExchangeCase[] => [
      {
        interrupts: true,
        forges: true,
        configs: HYBRID,
        name: `an IKE_FOLLOWUP_KE by ${who}: nothing is made of the rekey, and the IKE SA ends at both ends`,
        play: (bench) => {
          const [asker, answerer] = [bench[who], other(bench, bench[who])];
          rekey(bench, asker, "child");
          bench.courier.deliver(asker);
          bench.courier.deliver(answerer);
          bench.courier.hand(garble(bench, asker, []));
          expectGone(answerer);
          bench.courier.deliver(answerer);
          expectGone(asker);
        },
      },
      {
        interrupts: true,
        forges: true,
        name: `from ${who}, while the other's own request is on its way: that one goes unanswered, and the two begin anew`,
        play: (bench) => {
          const [asker, answerer] = [bench[who], other(bench, bench[who])];
          rekey(bench, asker, "child");
          rekey(bench, answerer, "child");
          const own = bench.courier.keep(answerer);
          bench.courier.hand(garble(bench, asker));
          expectGone(answerer);
          bench.courier.deliver(answerer);
          expectGone(asker);
          bench.courier.hand(own);
        },
      },
      {
        interrupts: true,
        forges: true,
        name: `a rekey of the IKE SA by ${who}, after it has answered the other's: what the other made goes with it or is found dead`,
        play: (bench) => {
          const [asker, answerer] = [bench[who], other(bench, bench[who])];
          rekey(bench, asker, "ike");
          rekey(bench, answerer, "ike");
          const request = garble(bench, asker);
          bench.courier.deliver(answerer);
          bench.courier.hand(request);
          expectGone(answerer);
          bench.courier.deliver(answerer);
          // Whether the other has heard the answer, and so has moved the Child SAs, is not known here.
          expect(ikeSaOf(asker).phase).toMatchObject({ kind: "established", successor: null });
          expect(asker.link().ikeSas.flatMap((sa) => sa.children).length).toBe(1);
        },
      },
    ]),
  );

  testExchanges(
    SIDES.map(
      (who): ExchangeCase => ({
        name: `from ${who} with a critical payload that is unknown is only refused: the IKE SA goes on`,
        forges: true,
        play: (bench) => {
          const [asker, answerer] = [bench[who], other(bench, bench[who])];
          const before = ikeSaOf(answerer).id;
          rekey(bench, asker, "child");
          bench.courier.hand(garble(bench, asker, [{ kind: "unknown", payloadType: 77, critical: true, data: new Uint8Array(4) }]));
          bench.courier.deliverAll();
          expect([ikeSaOf(answerer).id, asker.link().state, answerer.link().state]).toEqual([before, "up", "up"]);
        },
      }),
    ),
  );
});

describe("a peer that answers with INVALID_SYNTAX and goes on", () => {
  testExchanges(
    SIDES.flatMap((who) =>
      QUESTIONS.slice(0, 2).flatMap(([what, begin]) =>
        (["heard", "lost"] as const).map(
          (fate): ExchangeCase => ({
            interrupts: true,
            forges: true,
            name: `to ${what} by ${who}: it is told once that the IKE SA is gone (${fate})`,
            play: (bench) => {
              const [asker, answerer] = [bench[who], other(bench, bench[who])];
              begin(bench, asker);
              answerInstead(bench.courier, asker, answerer, INVALID_SYNTAX);
              expectGone(asker);
              expect(exchangesOf(bench, asker)).toEqual([[ExchangeType.INFORMATIONAL, false]]);
              expect(answerer.link().ikeSas.length).toBe(1);
              if (fate === "lost") return void bench.courier.keep(asker);
              bench.courier.deliver(asker);
              expectGone(answerer);
            },
          }),
        ),
      ),
    ),
  );
});

describe("INVALID_SYNTAX in a request of its own", () => {
  testExchanges(
    SIDES.map(
      (who): ExchangeCase => ({
        interrupts: true,
        forges: true,
        name: `of ${who}, which could not read the last answer: it is answered and ends the IKE SA`,
        play: (bench) => {
          const [from, to] = [bench[who], other(bench, bench[who])];
          bench.courier.hand(forgeRequest(from, to, ExchangeType.INFORMATIONAL, INVALID_SYNTAX));
          expectGone(to);
          expect(exchangesOf(bench, to)).toEqual([[ExchangeType.INFORMATIONAL, true]]);
        },
      }),
    ),
  );
});

describe("after INVALID_SYNTAX", () => {
  it("the end that starts the link waits a moment, so that a peer whose every message is broken is not asked again and again", () => {
    const bench = layBench({ interrupts: true }, null);
    bench.courier.hand(forgeRequest(bench.b, bench.a, ExchangeType.CREATE_CHILD_SA, MALFORMED));
    expect(exchangesOf(bench, bench.a)).toEqual([[ExchangeType.CREATE_CHILD_SA, true]]);
    bench.pair.run(900);
    expect(exchangesOf(bench, bench.a).length).toBe(1);
    bench.pair.run(400);
    expect(exchangesOf(bench, bench.a).at(-1)).toEqual([ExchangeType.IKE_SA_INIT, false]);
  });
});
