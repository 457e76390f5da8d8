import { describe, expect } from "vitest";
import { type Bench, deleteChild, type ExchangeCase, nonce, rekey, testExchanges } from "../../testing/exchange-case.ts";
import type { Side } from "../../testing/pair.ts";

/*
 * Both ends rekey at once, and additional key exchanges follow (RFC 9370 §2.2.4): the nonces of CREATE_CHILD_SA decide as in RFC 7296
 * §2.8.1 and §2.8.2, before anything has been made. The end whose exchange has the lowest one does not go on with IKE_FOLLOWUP_KE, and
 * the other one's leads to the only new SA: there is none to close but the old one.
 */
type Drawn = "a's request" | "a's answer" | "b's request" | "b's answer";
const DRAWN: readonly Drawn[] = ["a's request", "a's answer", "b's request", "b's answer"];
const SIDES = ["a", "b"] as const;
const KINDS = ["child", "ike"] as const;

const IKE = "aes256gcm16-prfsha384-x25519-ke1_mlkem512";
const ESP = "aes256gcm16-x25519-ke1_mlkem512";
const ONE = { both: { ikeProposals: [IKE], espProposals: [ESP] } };
const TWO = { both: { ikeProposals: [`${IKE}-ke2_ecp256`], espProposals: [`${ESP}-ke2_ecp256`] } };
/** Each end chooses its own first: only a's answer asks for additional key exchanges. */
const MIXED = {
  both: { ikeProposals: [IKE, "aes256gcm16-prfsha384-x25519"], espProposals: [ESP, "aes256gcm16-x25519"] },
  b: { ikeProposals: ["aes256gcm16-prfsha384-x25519", IKE], espProposals: ["aes256gcm16-x25519", ESP] },
};

const IKE_FOLLOWUP_KE = 44;
/** How long the next one is waited for. */
const FOLLOW_UP_WAIT_MS = 20_000;

/** Both requests have arrived, and both answers wait. */
function collide(bench: Bench, what: "child" | "ike", lowest: Drawn): void {
  const rank = (drawn: Drawn) => nonce(drawn === lowest ? 1 : 100 + DRAWN.indexOf(drawn));
  bench.a.nonces.push(rank("a's request"), rank("a's answer"));
  bench.b.nonces.push(rank("b's request"), rank("b's answer"));
  rekey(bench, bench.a, what);
  rekey(bench, bench.b, what);
  bench.courier.deliver(bench.a);
  bench.courier.deliver(bench.b);
}

/** Who began what stays. */
function winner(lowest: Drawn): "a" | "b" {
  return lowest === "a's request" || lowest === "b's answer" ? "b" : "a";
}

function other(bench: Bench, side: Side): Side {
  return side === bench.a ? bench.b : bench.a;
}

function followUps(side: Side): number {
  return side.trace.filter((entry) => entry.exchange === "IKE_FOLLOWUP_KE" && entry.direction === "sent" && entry.summary.includes("request")).length;
}

/** The loser has not gone on, and has never installed anything but what the winner made. */
function expectOneMade(bench: Bench, what: "child" | "ike", lowest: Drawn, each = 1): void {
  const won = bench[winner(lowest)];
  expect([followUps(won), followUps(other(bench, won))]).toEqual([each, 0]);
  const made = (side: Side) => side.trace.filter((entry) => /^New IKE SA|installed: in/.test(entry.summary)).length;
  // Of the handshake there is one Child SA.
  expect([made(bench.a), made(bench.b)]).toEqual([2, 2]);
  if (what === "ike") expect(won.link().ikeSas[0]!.role).toBe("initiator");
}

const everyOrder = KINDS.flatMap((what) =>
  DRAWN.flatMap((lowest) =>
    SIDES.flatMap((first) =>
      (
        [
          [1, ONE],
          [2, TWO],
        ] as const
      ).map(
        ([each, configs]): ExchangeCase => ({
          configs,
          name: `${what}, ${each} to follow, the lowest nonce in ${lowest}, the answer of ${first} arrives first`,
          play: (bench) => {
            collide(bench, what, lowest);
            bench.courier.deliver(bench[first]);
            bench.courier.deliver(other(bench, bench[first]));
          },
          after: (bench) => expectOneMade(bench, what, lowest, each),
        }),
      ),
    ),
  ),
);

const lostAnswer = KINDS.flatMap((what) =>
  DRAWN.flatMap((lowest) =>
    SIDES.map(
      (who): ExchangeCase => ({
        configs: ONE,
        name: `${what}, the lowest nonce in ${lowest}, the answer of ${who} is lost and comes again a second later`,
        play: (bench) => {
          collide(bench, what, lowest);
          bench.courier.keep(bench[who]);
          bench.courier.deliverAll();
        },
      }),
    ),
  ),
);

/** The winner's IKE_FOLLOWUP_KE, its answer, or its DELETE of the old one is lost. */
const lostLater = KINDS.flatMap((what) =>
  DRAWN.flatMap((lowest) =>
    (["request", "answer"] as const).map(
      (lost): ExchangeCase => ({
        configs: ONE,
        name: `${what}, the lowest nonce in ${lowest}, the ${lost} of IKE_FOLLOWUP_KE is lost`,
        play: (bench) => {
          const won = bench[winner(lowest)];
          const conceding = other(bench, won);
          collide(bench, what, lowest);
          bench.courier.deliver(conceding);
          bench.courier.deliver(won);
          expect(bench.courier.waiting(won).map((packet) => packet.bytes[18] ?? 0)).toEqual([IKE_FOLLOWUP_KE]);
          if (lost === "answer") bench.courier.deliver(won);
          bench.courier.keep(lost === "request" ? won : conceding);
        },
        after: (bench) => expectOneMade(bench, what, lowest),
      }),
    ),
  ),
);

/** The late end's request comes when the other one's rekey is already in its additional key exchanges: no collision, it is put off. */
const late = KINDS.flatMap((what) =>
  SIDES.map(
    (who): ExchangeCase => ({
      configs: ONE,
      name: `${what}, the request of ${who} comes when the other one has begun IKE_FOLLOWUP_KE`,
      play: (bench) => {
        const early = other(bench, bench[who]);
        rekey(bench, early, what);
        rekey(bench, bench[who], what);
        const request = bench.courier.keep(bench[who]);
        bench.courier.deliver(early);
        bench.courier.deliver(bench[who]);
        bench.courier.hand(request);
      },
      after: (bench) => expect(followUps(other(bench, bench[who]))).toBeGreaterThan(0),
    }),
  ),
);

const crossing = SIDES.flatMap((who): ExchangeCase[] =>
  DRAWN.slice(0, 2).map((lowest) => ({
    configs: ONE,
    name: `${who} rekeys the Child SA and the other end the IKE SA, (${lowest} drawn low)`,
    play: (bench) => {
      const first = lowest === "a's request" ? 1 : 200;
      bench[who].nonces.push(nonce(first));
      other(bench, bench[who]).nonces.push(nonce(100));
      rekey(bench, bench[who], "child");
      rekey(bench, other(bench, bench[who]), "ike");
      bench.courier.deliver(bench.a);
      bench.courier.deliver(bench.b);
    },
  })),
);

/** What is closed is not rekeyed in the place of the peer, which does not go on; the DELETE takes longer than that is waited for. */
const forgotten = SIDES.map(
  (who): ExchangeCase => ({
    configs: ONE,
    interrupts: true,
    name: `${who} deletes the Child SA that the other end has begun to rekey and does not go on with`,
    play: (bench) => {
      rekey(bench, other(bench, bench[who]), "child");
      bench.courier.deliver(other(bench, bench[who]));
      bench.courier.keep(bench[who]);
      deleteChild(bench, bench[who]);
      bench.pair.run(FOLLOW_UP_WAIT_MS + 5_000);
      expect(bench[who].trace.map((entry) => entry.summary)).toContain(
        "The peer did not go on with its additional key exchanges; what was agreed on is dropped.",
      );
    },
  }),
);

const oneSided = KINDS.flatMap((what) =>
  DRAWN.flatMap((lowest) =>
    SIDES.map(
      (first): ExchangeCase => ({
        configs: MIXED,
        name: `${what}, the lowest nonce in ${lowest}, the answer of ${first} arrives first`,
        play: (bench) => {
          collide(bench, what, lowest);
          bench.courier.deliver(bench[first]);
          bench.courier.deliver(other(bench, bench[first]));
        },
      }),
    ),
  ),
);

describe("both ends rekey at once with additional key exchanges: every lowest nonce, both orders", () => testExchanges(everyOrder));
describe("both ends rekey at once with additional key exchanges, and an answer is lost", () => testExchanges(lostAnswer));
describe("both ends rekey at once, and a message of the additional key exchanges is lost", () => testExchanges(lostLater));
describe("a rekey meets one that is in its additional key exchanges", () => testExchanges(late));
describe("a rekey of the Child SA crosses one of the IKE SA, both with additional key exchanges", () => testExchanges(crossing));
describe("a rekey is not gone on with, and what it was of is being deleted", () => testExchanges(forgotten));
describe("both ends rekey at once, and only one of the two has additional key exchanges", () => testExchanges(oneSided));
