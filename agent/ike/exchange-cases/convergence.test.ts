import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { aSituation, type Command, COMMANDS, playThrough } from "../../testing/random-situation.ts";
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

describe("from any interleaving both ends converge", () => {
  const timeout = searchMs(SEARCH);
  it("rekeys of both kinds at both ends", () => check(["rekey child", "rekey ike", "rekey all"]), timeout);
  it("rekeys and deletes of Child SAs", () => check(["rekey child", "rekey ike", "rekey all", "delete child"]), timeout);
  it("rekeys and reauthentications", () => check(["rekey child", "rekey ike", "rekey all", "reauthenticate"]), timeout);
  it("everything, also closing and opening the link", () => check(COMMANDS), timeout);
});
