import { describe, expect } from "vitest";
import { answerInstead } from "../../testing/forgery.ts";
import { type Bench, type ExchangeCase, nonce, rekey, testExchanges } from "../../testing/exchange-case.ts";
import type { Side } from "../../testing/pair.ts";
import { Kex, NotifyType } from "../../wire/iana.ts";
import { invalidKe, notify } from "../messaging.ts";

/*
 * Rekeying the IKE SA (RFC 7296 §1.3.2, §2.8, §2.8.2, §2.25.2). When both ends do it at once the new IKE SA with the lowest of the
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

function other(bench: Bench, side: Side): Side {
  return side === bench.a ? bench.b : bench.a;
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

/** The one whose exchange drew the lowest nonce is not the initiator of what stays. */
function expectInitiator(bench: Bench, name: "a" | "b"): void {
  const roles = { a: bench.a.link().ikeSas[0]!.role, b: bench.b.link().ikeSas[0]!.role };
  expect(roles).toEqual(name === "a" ? { a: "initiator", b: "responder" } : { a: "responder", b: "initiator" });
}

function winner(lowest: Drawn): "a" | "b" {
  return lowest === "a's request" || lowest === "b's answer" ? "b" : "a";
}

/** The IKE SA is another one than that of the handshake, in which a was the initiator. */
function expectNewIkeSa(bench: Bench): void {
  for (const side of [bench.a, bench.b]) expect(side.link().ikeSas[0]!.id).not.toBe("ike-1");
}

const alone = SIDES.flatMap((who): ExchangeCase[] => [
  {
    name: `${who} rekeys`,
    play: (bench) => rekey(bench, bench[who], "ike"),
    after: (bench) => expectInitiator(bench, who),
  },
  {
    name: `${who} rekeys and is asked for another group`,
    play: (bench) => {
      const answerer = other(bench, bench[who]);
      const { config } = answerer.engine.links.get("link")!;
      // It allows only the second from now on; the IKE SA in use stays.
      bench.pair.give(answerer, { kind: "setLink", link: { ...config, ikeProposals: ["aes256gcm16-prfsha384-ecp256"] } });
      rekey(bench, bench[who], "ike");
    },
    configs: { both: { ikeProposals: ["aes256gcm16-prfsha384-x25519-ecp256"] } },
    after: (bench) => expect(bench.a.link().ikeSas[0]!.suite).toBe("aes256gcm16-prfsha384-ecp256"),
  },
  ...["request", "answer", "DELETE", "answer to the DELETE"].map(
    (what, index): ExchangeCase => ({
      name: `${who} rekeys and the ${what} is lost`,
      play: (bench) => {
        rekey(bench, bench[who], "ike");
        const [asker, answerer] = [bench[who], other(bench, bench[who])];
        for (let packet = 0; packet < index; packet++) bench.courier.deliver(packet % 2 === 0 ? asker : answerer);
        bench.courier.keep(index % 2 === 0 ? asker : answerer);
      },
      after: expectNewIkeSa,
    }),
  ),
  {
    name: `${who} rekeys and every packet comes twice`,
    play: (bench) => {
      rekey(bench, bench[who], "ike");
      for (let packet = 0; packet < 4; packet++) bench.courier.hand(bench.courier.deliver(packet % 2 === 0 ? bench[who] : other(bench, bench[who])));
    },
    after: (bench) => expectInitiator(bench, who),
  },
  {
    name: `${who} rekeys and the other end's first request on the new IKE SA overtakes the answer`,
    play: (bench) => {
      const [asker, answerer] = [bench[who], other(bench, bench[who])];
      rekey(bench, asker, "ike");
      bench.courier.deliver(asker);
      rekey(bench, answerer, "child");
      bench.courier.deliver(answerer, 1);
    },
    after: (bench) => {
      expectNewIkeSa(bench);
      expect(bench.a.events.filter((event) => event.kind === "childSaRekeyed").length).toBe(1);
    },
  },
  {
    name: `${who} never deletes the old IKE SA: the other end does, after a minute`,
    forges: true,
    play: (bench) => {
      const [asker, answerer] = [bench[who], other(bench, bench[who])];
      rekey(bench, asker, "ike");
      bench.courier.deliver(asker);
      bench.courier.deliver(answerer);
      const old = [...asker.engine.ikeSas.values()][0]!;
      // The DELETE is lost again and again while its sender believes that it was answered.
      bench.courier.keep(asker);
      old.window.outstanding = null;
      bench.courier.leave();
      bench.pair.run(55_000);
      expect(answerer.engine.ikeSas.size).toBe(2);
      asker.engine.ikeSas.delete(old.role === "initiator" ? old.spiI : old.spiR);
    },
    after: expectNewIkeSa,
  },
]);

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

const refused = SIDES.flatMap((who): ExchangeCase[] => [
  ...(["TEMPORARY_FAILURE", "NO_PROPOSAL_CHOSEN", "NO_ADDITIONAL_SAS"] as const).map(
    (error): ExchangeCase => ({
      name: `${who} is refused with ${error}: the IKE SA goes on and the rekey succeeds later`,
      play: (bench) => {
        rekey(bench, bench[who], "ike");
        answerInstead(bench.courier, bench[who], other(bench, bench[who]), [notify(NotifyType[error])]);
        expect(bench[who].link().ikeSas.map((sa) => [sa.id, sa.state])).toEqual([["ike-1", "established"]]);
        bench.courier.leave();
        expect(bench.pair.runUntil(() => bench[who].link().ikeSas[0]!.id !== "ike-1", 65_000)).toBe(true);
      },
      after: expectNewIkeSa,
    }),
  ),
  {
    name: `${who} is asked for the group that it sent: refused, and tried again later`,
    play: (bench) => {
      rekey(bench, bench[who], "ike");
      answerInstead(bench.courier, bench[who], other(bench, bench[who]), [invalidKe(Kex.X25519)]);
      expect(bench.courier.waiting(bench[who])).toEqual([]);
      bench.courier.leave();
      expect(bench.pair.runUntil(() => bench[who].link().ikeSas[0]!.id !== "ike-1", 65_000)).toBe(true);
    },
    after: expectNewIkeSa,
  },
]);

/** One rekeys the IKE SA, the other deletes it. */
const againstDelete = SIDES.flatMap((who) =>
  ["rekey first", "DELETE first", "the rekey is lost", "the DELETE is lost"].map(
    (order): ExchangeCase => ({
      name: `${who} rekeys what the other end closes: ${order}`,
      interrupts: true,
      leaves: "none",
      play: (bench) => {
        const [asker, deleter] = [bench[who], other(bench, bench[who])];
        rekey(bench, asker, "ike");
        bench.pair.give(deleter, { kind: "down", linkId: "link" });
        switch (order) {
          case "rekey first":
            return void bench.courier.deliver(asker);
          case "DELETE first":
            return void bench.courier.deliver(deleter);
          case "the rekey is lost":
            return void bench.courier.keep(asker);
          default:
            return void bench.courier.keep(deleter);
        }
      },
    }),
  ),
);

/** The end that rekeys is told to close the link before it has its answer. */
const thenDown = SIDES.flatMap((who) =>
  ["request", "answer", "DELETE"].map(
    (stage, index): ExchangeCase => ({
      name: `${who} rekeys and is told to close the link while its ${stage} is on the way`,
      interrupts: true,
      leaves: "none",
      play: (bench) => {
        const [asker, answerer] = [bench[who], other(bench, bench[who])];
        rekey(bench, asker, "ike");
        for (let packet = 0; packet < index; packet++) bench.courier.deliver(packet % 2 === 0 ? asker : answerer);
        bench.pair.give(asker, { kind: "down", linkId: "link" });
      },
      after: (bench) => expect(bench.pair.clock.now()).toBeLessThan(1_800_000_000_000 + 60_000),
    }),
  ),
);

describe("one end rekeys the IKE SA", () => testExchanges(alone));
describe("both ends rekey the IKE SA at once: every lowest nonce, both orders", () => testExchanges(everyOrder));
describe("both ends rekey the IKE SA at once and an answer is lost", () => testExchanges(lostAnswer));
describe("both ends rekey the IKE SA at once and a DELETE overtakes an answer", () => testExchanges(overtakingDelete));
describe("only one end sees that both rekey the IKE SA", () => testExchanges(unseen));
describe("a rekey of the IKE SA is refused", () => testExchanges(refused));
describe("the IKE SA is rekeyed by one end and closed by the other", () => testExchanges(againstDelete));
describe("the end that rekeys the IKE SA closes it", () => testExchanges(thenDown));
