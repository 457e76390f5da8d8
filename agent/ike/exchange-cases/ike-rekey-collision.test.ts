import { describe, expect } from "vitest";
import { type Bench, type ExchangeCase, nonce, rekey, testExchanges } from "../../testing/exchange-case.ts";
import type { Side } from "../../testing/pair.ts";
import { parseHeader } from "../../wire/ikev2/header.ts";

/*
 * Both ends rekey the IKE SA (RFC 7296 §2.8.2). When they do it at once the new IKE SA with the lowest of the
 * four nonces is redundant and closed by whoever began it; the other one inherits the Child SAs, which keep their keys.
 */
type Drawn = "a's request" | "a's answer" | "b's request" | "b's answer";
const DRAWN: readonly Drawn[] = ["a's request", "a's answer", "b's request", "b's answer"];
const SIDES = ["a", "b"] as const;

function drawNonces(bench: Bench, lowest: Drawn): void {
  const rank = (drawn: Drawn) => nonce(drawn === lowest ? 1 : 100 + DRAWN.indexOf(drawn));
  bench.a.nonces.push(rank("a's request"), rank("a's answer"));
  bench.b.nonces.push(rank("b's request"), rank("b's answer"));
}

function rekeyBoth(bench: Bench, lowest: Drawn): void {
  drawNonces(bench, lowest);
  rekey(bench, bench.a, "ike");
  rekey(bench, bench.b, "ike");
}

/** Both requests have arrived, and both answers wait. */
function collide(bench: Bench, lowest: Drawn): void {
  rekeyBoth(bench, lowest);
  bench.courier.deliver(bench.a);
  bench.courier.deliver(bench.b);
}

function winner(lowest: Drawn): "a" | "b" {
  return lowest === "a's request" || lowest === "b's answer" ? "b" : "a";
}

function other(bench: Bench, side: Side): Side {
  return side === bench.a ? bench.b : bench.a;
}

/** The one whose exchange drew the lowest nonce is not the initiator of what stays. */
function expectInitiator(bench: Bench, name: "a" | "b"): void {
  const roles = { a: bench.a.link().ikeSas[0]!.role, b: bench.b.link().ikeSas[0]!.role };
  expect(roles).toEqual(name === "a" ? { a: "initiator", b: "responder" } : { a: "responder", b: "initiator" });
}

/** The IKE SA is another one than that of the handshake, in which a was the initiator. */
function expectNewIkeSa(bench: Bench): void {
  for (const side of [bench.a, bench.b]) expect(side.link().ikeSas[0]!.id).not.toBe("ike-1");
}

const everyOrder = DRAWN.flatMap((lowest): ExchangeCase[] =>
  SIDES.map((first) => ({
    name: `the lowest nonce in ${lowest}, the answer of ${first} arrives first`,
    play: (bench) => {
      collide(bench, lowest);
      bench.courier.deliver(bench[first]);
      bench.courier.deliver(other(bench, bench[first]));
    },
    after: (bench) => expectInitiator(bench, winner(lowest)),
  })),
);

const lostAnswer = DRAWN.flatMap((lowest): ExchangeCase[] =>
  SIDES.map((who) => ({
    name: `the lowest nonce in ${lowest}, the answer of ${who} is lost and comes again after the DELETE`,
    play: (bench) => {
      collide(bench, lowest);
      bench.courier.keep(bench[who]);
      bench.courier.deliverAll();
    },
    after: (bench) => expectInitiator(bench, winner(lowest)),
  })),
);

const overtakingDelete = DRAWN.flatMap((lowest): ExchangeCase[] =>
  SIDES.map((slow) => ({
    name: `the lowest nonce in ${lowest}, the DELETE of ${slow} overtakes its answer`,
    play: (bench) => {
      collide(bench, lowest);
      const answer = bench.courier.keep(bench[slow]);
      bench.courier.deliver(other(bench, bench[slow]));
      bench.courier.deliver(bench[slow]);
      bench.courier.hand(answer);
    },
    after: (bench) => expectInitiator(bench, winner(lowest)),
  })),
);

/** One request is on the way for so long that its sender's own is all that the other end sees of a collision. */
const unseen = SIDES.flatMap((late): ExchangeCase[] => {
  const early = (bench: Bench) => other(bench, bench[late]);
  const keepRequest = (bench: Bench) => {
    rekeyBoth(bench, `${late}'s request`);
    return bench.courier.keep(bench[late]);
  };
  return [
    {
      name: `the request of ${late} comes when the other one deletes the old IKE SA`,
      play: (bench) => {
        const request = keepRequest(bench);
        bench.courier.deliver(early(bench));
        bench.courier.deliver(bench[late]);
        bench.courier.hand(request);
      },
      after: (bench) => expectInitiator(bench, late === "a" ? "b" : "a"),
    },
    {
      name: `the request of ${late} comes when the old IKE SA is gone`,
      play: (bench) => {
        const request = keepRequest(bench);
        bench.courier.deliverAll();
        bench.courier.hand(request);
      },
      after: (bench) => expectInitiator(bench, late === "a" ? "b" : "a"),
    },
    {
      name: `the request of ${late} is lost and sent again after a second`,
      play: (bench) => void keepRequest(bench),
      after: (bench) => expectInitiator(bench, late === "a" ? "b" : "a"),
    },
    {
      name: `the request of ${late} is lost and so is the answer of ${late}`,
      play: (bench) => {
        keepRequest(bench);
        bench.courier.deliver(early(bench));
        bench.courier.keep(bench[late]);
      },
      after: expectNewIkeSa,
    },
    {
      name: `the request of ${late} is lost and so is the DELETE of the other one`,
      play: (bench) => {
        keepRequest(bench);
        bench.courier.deliver(early(bench));
        bench.courier.deliver(bench[late]);
        bench.courier.keep(early(bench));
      },
      after: expectNewIkeSa,
    },
    {
      name: `the request of ${late} is lost, and ${late} is told to rekey everything before it knows which IKE SA stays`,
      play: (bench) => {
        keepRequest(bench);
        bench.courier.deliver(early(bench));
        rekey(bench, bench[late], "all");
        bench.courier.deliver(bench[late]);
        bench.courier.keep(early(bench));
        expect(bench.courier.waiting(bench[late])).toEqual([]);
      },
      after: expectNewIkeSa,
    },
    {
      name: `the request of ${late} is lost, and the other one rekeys its new IKE SA before ${late} knows that it stays`,
      play: (bench) => {
        keepRequest(bench);
        bench.courier.deliver(early(bench));
        bench.courier.deliver(bench[late]);
        rekey(bench, early(bench), "ike");
        bench.courier.deliver(early(bench), 1);
        bench.courier.deliver(bench[late]);
      },
      after: expectNewIkeSa,
    },
    {
      name: `the refusal of ${late} comes when the old IKE SA is gone`,
      play: (bench) => {
        const request = keepRequest(bench);
        bench.courier.deliver(early(bench));
        bench.courier.deliver(bench[late]);
        bench.courier.hand(request);
        const refusal = bench.courier.keep(early(bench), 1);
        bench.courier.deliverAll();
        bench.courier.hand(refusal);
      },
      after: expectNewIkeSa,
    },
  ];
});

/** On the old IKE SA nothing from the peer arrives at `who` any more, which gives that one up; both have what the peer has rekeyed it into. */
const unheard = SIDES.map(
  (who): ExchangeCase => ({
    name: `${who} never gets an answer to its own rekey: the Child SAs are on what the peer has made, and stay`,
    play: (bench) => {
      const peer = other(bench, bench[who]);
      const spis = [...bench[who].inbound.keys()];
      const old = [...bench[who].engine.ikeSas.values()][0]!;
      rekey(bench, bench[who], "ike");
      bench.courier.keep(bench[who]);
      rekey(bench, peer, "ike");
      bench.courier.deliver(peer);
      bench.courier.deliver(bench[who]);
      bench.courier.leave("lose");
      bench.pair.link.drops = (packet) => packet.to.address === bench[who].address && parseHeader(packet.bytes).header.spiI === old.spiI;
      const isForgotten = bench.pair.runUntil(() => bench[who].engine.ikeSas.byId(old.id) === undefined, 60_000);
      expect([isForgotten, bench[who].failures(), bench[who].link().state]).toEqual([true, [], "up"]);
      expect([...bench[who].inbound.keys()]).toEqual(spis);
    },
    after: expectNewIkeSa,
  }),
);

describe("both ends rekey the IKE SA, and one never hears of its own", () => testExchanges(unheard));
describe("both ends rekey the IKE SA at once: every lowest nonce, both orders", () => testExchanges(everyOrder));
describe("both ends rekey the IKE SA at once and an answer is lost", () => testExchanges(lostAnswer));
describe("both ends rekey the IKE SA at once and a DELETE overtakes an answer", () => testExchanges(overtakingDelete));
describe("only one end sees that both rekey the IKE SA", () => testExchanges(unseen));
