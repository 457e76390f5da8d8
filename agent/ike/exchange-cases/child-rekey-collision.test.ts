import { describe, expect } from "vitest";
import { type Bench, type ExchangeCase, nonce, rekey, testExchanges } from "../../testing/exchange-case.ts";
import type { Side } from "../../testing/pair.ts";

/*
 * Both ends rekey the same Child SA at once (RFC 7296 §2.8.1). Four nonces are drawn: a's request and b's answer to it make one new
 * Child SA, b's request and a's answer the other. The one with the lowest of the four nonces is redundant, and whoever began it
 * deletes it; the other one deletes the old.
 */
type Drawn = "a's request" | "a's answer" | "b's request" | "b's answer";
const DRAWN: readonly Drawn[] = ["a's request", "a's answer", "b's request", "b's answer"];

function drawNonces(bench: Bench, lowest: Drawn): void {
  const rank = (drawn: Drawn) => nonce(drawn === lowest ? 1 : 100 + DRAWN.indexOf(drawn));
  bench.a.nonces.push(rank("a's request"), rank("a's answer"));
  bench.b.nonces.push(rank("b's request"), rank("b's answer"));
}

/** Who began the Child SA that stays. */
function winner(lowest: Drawn): "a" | "b" {
  return lowest === "a's request" || lowest === "b's answer" ? "b" : "a";
}

/** Both requests have arrived, and both answers wait. */
function collide(bench: Bench, lowest: Drawn): void {
  drawNonces(bench, lowest);
  rekey(bench, bench.a, "child");
  rekey(bench, bench.b, "child");
  bench.courier.deliver(bench.a);
  bench.courier.deliver(bench.b);
}

function other(bench: Bench, side: Side): Side {
  return side === bench.a ? bench.b : bench.a;
}

/** Each side says of the collision who closes what. */
function expectWinner(bench: Bench, lowest: Drawn): void {
  const said = (side: Side) => side.trace.filter((entry) => entry.summary.includes("has the lowest nonce")).map((entry) => entry.summary);
  const won = bench[winner(lowest)];
  expect(said(won)).toEqual([expect.stringContaining("the peer's has the lowest nonce")]);
  expect(said(other(bench, won))).toEqual([expect.stringContaining("ours has the lowest nonce")]);
}

const everyOrder = DRAWN.flatMap((lowest): ExchangeCase[] =>
  (["a", "b"] as const).map((first) => ({
    name: `the lowest nonce in ${lowest}, the answer of ${first} arrives first`,
    play: (bench) => {
      collide(bench, lowest);
      bench.courier.deliver(bench[first]);
      bench.courier.deliver(other(bench, bench[first]));
    },
    after: (bench) => expectWinner(bench, lowest),
  })),
);

const lostAnswer = DRAWN.flatMap((lowest): ExchangeCase[] =>
  (["a", "b"] as const).map((who) => ({
    name: `the lowest nonce in ${lowest}, the answer of ${who} is lost and comes again after the DELETE`,
    play: (bench) => {
      collide(bench, lowest);
      bench.courier.keep(bench[who]);
      bench.courier.deliverAll();
    },
    after: (bench) => expect([...bench.a.failures(), ...bench.b.failures()]).toEqual([]),
  })),
);

const overtakingDelete = DRAWN.flatMap((lowest): ExchangeCase[] =>
  (["a", "b"] as const).map((slow) => ({
    name: `the lowest nonce in ${lowest}, the DELETE of ${slow} overtakes its answer`,
    play: (bench) => {
      collide(bench, lowest);
      const answer = bench.courier.keep(bench[slow]);
      bench.courier.deliver(other(bench, bench[slow]));
      bench.courier.deliver(bench[slow]);
      bench.courier.hand(answer);
    },
  })),
);

/** One request is on the way for so long that its sender's own is all that the other end sees of a collision. */
const unseen = (["a", "b"] as const).flatMap((late): ExchangeCase[] => {
  const requests = (bench: Bench) => {
    drawNonces(bench, `${late}'s request`);
    rekey(bench, bench[late], "child");
    rekey(bench, other(bench, bench[late]), "child");
    return bench.courier.keep(bench[late]);
  };
  return [
    {
      name: `the request of ${late} comes when the other one has its answer and has sent its DELETE`,
      play: (bench) => {
        const request = requests(bench);
        const early = other(bench, bench[late]);
        bench.courier.deliver(early);
        bench.courier.deliver(bench[late]);
        bench.courier.hand(request);
      },
    },
    {
      name: `the request of ${late} comes when the other one has deleted the old Child SA`,
      play: (bench) => {
        const request = requests(bench);
        const early = other(bench, bench[late]);
        bench.courier.deliver(early);
        bench.courier.deliver(bench[late]);
        bench.courier.deliver(early);
        bench.courier.deliver(bench[late]);
        bench.courier.hand(request);
      },
    },
    {
      name: `the request of ${late} is lost and sent again after a second`,
      play: (bench) => void requests(bench),
    },
    {
      name: `the request of ${late} is lost and so is the answer of ${late}`,
      play: (bench) => {
        requests(bench);
        bench.courier.deliver(other(bench, bench[late]));
        bench.courier.keep(bench[late]);
      },
    },
    {
      name: `the request of ${late} overtakes the answer of ${late}`,
      play: (bench) => {
        const request = requests(bench);
        const early = other(bench, bench[late]);
        bench.courier.deliver(early);
        bench.courier.hand(request);
        // Its refusal or answer comes first, then what it waited for.
        bench.courier.deliver(early);
      },
    },
  ];
});

const PFS_DIFFERS = {
  a: { espProposals: ["aes256gcm16-x25519-ecp256"] },
  b: { espProposals: ["aes256gcm16-ecp256-x25519"] },
} as const;

const groups: ExchangeCase[] = [
  {
    name: "both ask for the other's group: INVALID_KE_PAYLOAD twice, both ask again",
    configs: PFS_DIFFERS,
    play: (bench) => {
      rekey(bench, bench.a, "child");
      rekey(bench, bench.b, "child");
      bench.courier.deliver(bench.a);
      bench.courier.deliver(bench.b);
      bench.courier.deliver(bench.a);
      bench.courier.deliver(bench.b);
    },
  },
  {
    name: "one is refused its group while its own answer made the peer's Child SA",
    configs: { a: { espProposals: ["aes256gcm16-x25519-ecp256"] }, b: { espProposals: ["aes256gcm16-ecp256"] } },
    play: (bench) => {
      rekey(bench, bench.a, "child");
      rekey(bench, bench.b, "child");
      bench.courier.deliver(bench.b);
      bench.courier.deliver(bench.a, 0);
      bench.courier.deliver(bench.b);
      bench.courier.deliver(bench.a);
    },
  },
];

describe("both ends rekey a Child SA at once: every lowest nonce, both orders", () => testExchanges(everyOrder));
describe("both ends rekey a Child SA at once and an answer is lost", () => testExchanges(lostAnswer));
describe("both ends rekey a Child SA at once and a DELETE overtakes an answer", () => testExchanges(overtakingDelete));
describe("only one end sees that both rekey a Child SA", () => testExchanges(unseen));
describe("a collision of rekeys that disagree about the group", () => testExchanges(groups));
