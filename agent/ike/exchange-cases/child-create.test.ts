import { describe, expect } from "vitest";
import { reschedule, settle } from "../settle.ts";
import { newTurn, touchIkeSa } from "../turn.ts";
import { fromPrefix } from "../../ipsec/traffic-selector.ts";
import { answerInstead, ikeSaOf } from "../../testing/forgery.ts";
import { type Bench, deleteChild, type ExchangeCase, nonce, rekey, testExchanges } from "../../testing/exchange-case.ts";
import type { Side } from "../../testing/pair.ts";
import { NotifyType } from "../../wire/iana.ts";
import { childrenOf } from "../ike-sa.ts";
import { notify } from "../messaging.ts";

/* A further Child SA on an IKE SA (RFC 7296 §1.3.1). */

const SIDES = ["a", "b"] as const;
const NET = { name: "net", localSelectors: [fromPrefix("10.1.0.0/24")], remoteSelectors: [fromPrefix("10.2.0.0/24")] };
const TWO = { name: "two", localSelectors: [fromPrefix("10.1.1.0/24")], remoteSelectors: [fromPrefix("10.2.1.0/24")] };

function other(bench: Bench, side: Side): Side {
  return side === bench.a ? bench.b : bench.a;
}

/** Gives the link a second child at both ends; a, which starts the link, asks for it. */
function addSecond(bench: Bench): void {
  for (const side of [bench.b, bench.a]) {
    const { config } = side.engine.links.get("link")!;
    const mirrored = (child: typeof NET) => ({ name: child.name, localSelectors: child.remoteSelectors, remoteSelectors: child.localSelectors });
    const children = side === bench.a ? [NET, TWO] : [mirrored(NET), mirrored(TWO)];
    bench.pair.give(side, { kind: "setLink", link: { ...config, children } });
  }
}

/** Has a side ask for a child whether it has it or not. */
function ask(bench: Bench, side: Side, childName: string): void {
  const turn = newTurn(side.engine, bench.pair.clock.now() + side.clockAheadMs);
  touchIkeSa(turn, ikeSaOf(side));
  ikeSaOf(side).window.queue.push({ kind: "createChild", childName });
  settle(turn);
  reschedule(turn);
  bench.pair.carryOut(side, turn.effects);
}

function established(side: Side): number {
  return side.events.filter((event) => event.kind === "childSaEstablished").length;
}

const alone: ExchangeCase[] = [
  { name: "a asks", play: addSecond, after: (bench) => expect([established(bench.a), established(bench.b)]).toEqual([2, 2]) },
  ...["request", "answer"].map(
    (what, index): ExchangeCase => ({
      name: `a asks and the ${what} is lost`,
      play: (bench) => {
        addSecond(bench);
        for (let packet = 0; packet < index; packet++) bench.courier.deliver(bench.a);
        bench.courier.keep(index === 0 ? bench.a : bench.b);
      },
      after: (bench) => expect([established(bench.a), established(bench.b)]).toEqual([2, 2]),
    }),
  ),
  {
    name: "a asks and every packet comes twice",
    play: (bench) => {
      addSecond(bench);
      bench.courier.hand(bench.courier.deliver(bench.a));
      bench.courier.hand(bench.courier.deliver(bench.b));
    },
    after: (bench) => expect([established(bench.a), established(bench.b)]).toEqual([2, 2]),
  },
  ...(["TEMPORARY_FAILURE", "NO_PROPOSAL_CHOSEN", "TS_UNACCEPTABLE", "NO_ADDITIONAL_SAS"] as const).map(
    (error): ExchangeCase => ({
      name: `a is refused with ${error}: the first Child SA goes on and the second is asked for again`,
      play: (bench) => {
        addSecond(bench);
        answerInstead(bench.courier, bench.a, bench.b, [notify(NotifyType[error])]);
        expect(bench.a.link().state).toBe("degraded");
        expect(childrenOf(ikeSaOf(bench.a)).size).toBe(1);
      },
    }),
  ),
  {
    name: "a asks and is asked for another group",
    configs: { a: { espProposals: ["aes256gcm16-x25519-ecp256"] }, b: { espProposals: ["aes256gcm16-ecp256"] } },
    play: addSecond,
  },
  {
    name: "a asks while b rekeys the IKE SA",
    play: (bench) => {
      addSecond(bench);
      rekey(bench, bench.b, "ike");
      bench.courier.deliver(bench.b);
      bench.courier.deliver(bench.a);
    },
  },
  {
    name: "a asks and b rekeys the IKE SA before the answer has arrived",
    play: (bench) => {
      addSecond(bench);
      bench.courier.deliver(bench.a);
      rekey(bench, bench.b, "ike");
      bench.courier.deliver(bench.b, 1);
    },
  },
];

/** Who has the link started makes what is missing, whoever began the IKE SA. */
const starters: ExchangeCase[] = [
  {
    name: "only the end that did not begin the IKE SA starts the link: it makes the Child SA anew after it was deleted",
    interrupts: true,
    play: (bench) => {
      for (const [side, initiate] of [
        [bench.a, "respond"],
        [bench.b, "start"],
      ] as const) {
        const { config } = side.engine.links.get("link")!;
        bench.pair.give(side, { kind: "setLink", link: { ...config, initiate } });
      }
      deleteChild(bench, bench.a);
      bench.courier.leave();
      expect(bench.pair.runUntil(() => bench.pair.bothUp(), 10_000)).toBe(true);
    },
    after: (bench) => expect([...childrenOf(ikeSaOf(bench.b)).values()].map((child) => child.madeAs)).toEqual(["initiator"]),
  },
  {
    name: "both ends start the link: the one that began the IKE SA makes the Child SA anew, the other one does not",
    configs: { b: { initiate: "start" } },
    interrupts: true,
    play: (bench) => {
      for (const side of [bench.a, bench.b]) side.events.length = 0;
      deleteChild(bench, bench.b);
      bench.courier.leave();
      expect(bench.pair.runUntil(() => bench.pair.bothUp(), 1_000)).toBe(true);
    },
    after: (bench) => expect([established(bench.a), established(bench.b)]).toEqual([1, 1]),
  },
  {
    name: "neither end starts the link: nothing is made anew",
    interrupts: true,
    leaves: "none",
    play: (bench) => {
      deleteChild(bench, bench.b);
      bench.courier.leave();
      bench.pair.run(100_000);
      expect([bench.a.inbound.size, bench.b.inbound.size]).toEqual([0, 0]);
      bench.pair.give(bench.a, { kind: "down", linkId: "link" });
    },
  },
];

type Drawn = "a's request" | "a's answer" | "b's request" | "b's answer";
const DRAWN: readonly Drawn[] = ["a's request", "a's answer", "b's request", "b's answer"];

/** Both ends ask for the same child at once; of the two the one with the lowest nonce goes. */
const atOnce = DRAWN.flatMap((lowest): ExchangeCase[] =>
  SIDES.flatMap((first): ExchangeCase[] => {
    const begin = (bench: Bench) => {
      const rank = (drawn: Drawn) => nonce(drawn === lowest ? 1 : 100 + DRAWN.indexOf(drawn));
      bench.a.nonces.push(rank("a's request"), rank("a's answer"));
      bench.b.nonces.push(rank("b's request"), rank("b's answer"));
      addSecond(bench);
      ask(bench, bench.b, "two");
    };
    return [
      {
        name: `both ask, the lowest nonce in ${lowest}, the answer of ${first} arrives first`,
        play: (bench) => {
          begin(bench);
          bench.courier.deliver(bench.a);
          bench.courier.deliver(bench.b);
          bench.courier.deliver(bench[first]);
        },
        after: (bench) => {
          const winner = lowest === "a's request" || lowest === "b's answer" ? bench.b : bench.a;
          const child = [...childrenOf(ikeSaOf(winner)).values()].find((one) => one.name === "two")!;
          expect(child.madeAs).toBe("initiator");
        },
      },
      {
        name: `both ask, the lowest nonce in ${lowest}, the request of ${first} is lost and comes when the other one is done`,
        play: (bench) => {
          begin(bench);
          bench.courier.keep(bench[first]);
        },
      },
    ];
  }),
);

const again = SIDES.flatMap((who): ExchangeCase[] => [
  {
    name: `${who} asks again for a child that is there: one of the two goes, and the traffic goes on`,
    play: (bench) => ask(bench, bench[who], "net"),
  },
  {
    name: `${who} asks for a child that is there again and again`,
    play: (bench) => {
      for (let time = 0; time < 4; time++) ask(bench, bench[who], "net");
    },
  },
  {
    name: `${who} asks again for a child that is there while the other end rekeys it`,
    play: (bench) => {
      ask(bench, bench[who], "net");
      rekey(bench, other(bench, bench[who]), "child");
    },
  },
]);

const overtaken: ExchangeCase[] = [
  {
    name: "b deletes the new Child SA, and its DELETE arrives half a millisecond before its answer",
    interrupts: true,
    play: (bench) => {
      addSecond(bench);
      bench.courier.deliver(bench.a);
      const fresh = [...childrenOf(ikeSaOf(bench.b)).values()].at(-1)!;
      bench.pair.give(bench.b, { kind: "expire", childSaId: fresh.id, spi: fresh.outboundSpi, hard: true });
      bench.courier.deliver(bench.b, 1);
      bench.courier.deliver(bench.b);
      expect([...childrenOf(ikeSaOf(bench.a)).values()].map((child) => child.name)).toEqual(["net"]);
    },
  },
];

describe("a Child SA is asked for", () => testExchanges(alone));
describe("who makes a Child SA that is missing", () => testExchanges(starters));
describe("both ends ask for the same Child SA at once", () => testExchanges(atOnce));
describe("a Child SA is asked for that is there", () => testExchanges(again));
describe("a DELETE that overtakes the answer to the request for a Child SA", () => testExchanges(overtaken));
