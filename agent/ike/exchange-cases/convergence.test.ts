import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { aSituation, type Command, COMMANDS, playThrough, type Situation } from "../../testing/random-situation.ts";
import { searchMs, searchSize } from "../../testing/search-size.ts";

/* Whatever both ends begin at once, over whatever line: they end with the same SAs, or with none if one of them was told so. */

const SEARCH = searchSize(150);

function check(commands: readonly Command[]): void {
  fc.assert(
    fc.property(aSituation(commands), (situation) => {
      const faults = playThrough(situation);
      expect(faults, faults.join("; ")).toEqual([]);
    }),
    SEARCH,
  );
}

/** Found by a longer search: the policy of a first Child SA whose answer got lost for 22 s stayed there although there was another, known to both, for 17 s. */
const FIRST_ANSWER_LOST: Situation = {
  seed: 234_403_106,
  starts: "a",
  steps: [
    { side: "a", command: "restart", pauseMs: 100 },
    { side: "a", command: "rekey child", pauseMs: 100 },
    { side: "a", command: "reauthenticate", pauseMs: 1 },
    { side: "a", command: "rekey child", pauseMs: 0 },
  ],
  line: { delayMs: 1, loss: 0.2, duplicate: 0, reorder: 0.2, reorderMs: 5 },
  firstPacketMs: null,
  keyExchange: "none",
  childCount: 2,
  perResource: { a: 0, b: 0 },
  childless: true,
  onDemand: false,
  wordAfterMs: 700,
};

/** Found by a longer search: what the peer had made last was not sent over although it was known to have it, since a question of before on that IKE SA was still without an answer. */
const HEARD_AGAIN: Situation = {
  seed: 299_747_571,
  starts: "a",
  steps: [
    { side: "a", command: "reauthenticate", pauseMs: 0 },
    { side: "a", command: "delete child", pauseMs: 2_026 },
    { side: "b", command: "rekey child", pauseMs: 0 },
  ],
  line: { delayMs: 1, loss: 0.6, duplicate: 0, reorder: 0, reorderMs: 5 },
  firstPacketMs: null,
  keyExchange: "none",
  childCount: 2,
  perResource: { a: 0, b: 0 },
  childless: false,
  onDemand: false,
  wordAfterMs: 5_000,
};

describe("from any interleaving both ends converge", () => {
  const timeout = searchMs(SEARCH);
  it("rekeys of both kinds at both ends", () => check(["rekey child", "rekey ike", "rekey all"]), timeout);
  it("rekeys and deletes of Child SAs", () => check(["rekey child", "rekey ike", "rekey all", "delete child"]), timeout);
  it("rekeys and reauthentications", () => check(["rekey child", "rekey ike", "rekey all", "reauthenticate"]), timeout);
  it("a first answer that is lost again and again", () => expect(playThrough(FIRST_ANSWER_LOST)).toEqual([]));
  it("a peer that is heard again on an IKE SA where it owes an answer", () => expect(playThrough(HEARD_AGAIN)).toEqual([]));
  it("everything, also closing and opening the link", () => check(COMMANDS), timeout);
});
