import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { aSituation, type Command, COMMANDS, playThrough } from "../../testing/random-situation.ts";

/* Whatever both ends begin at once, over whatever line: they end with the same SAs, or with none if one of them was told so. */

/**
 * Situations for each property, the same ones each time; a longer search sets both: `CONVERGENCE_RUNS=5000 CONVERGENCE_SEED=$RANDOM`. fast-check
 * prints the seed and the smallest situation that fails.
 */
const RUNS = Number(process.env["CONVERGENCE_RUNS"] ?? 150);
const SEED = Number(process.env["CONVERGENCE_SEED"] ?? 20_261);

function check(commands: readonly Command[]): void {
  fc.assert(
    fc.property(aSituation(commands), (situation) => {
      const faults = playThrough(situation);
      expect(faults, faults.join("; ")).toEqual([]);
    }),
    { numRuns: RUNS, seed: SEED },
  );
}

describe("from any interleaving both ends converge", () => {
  const timeout = 60_000 + RUNS * 200;
  it("rekeys of both kinds at both ends", () => check(["rekey child", "rekey ike", "rekey all"]), timeout);
  it("rekeys and deletes of Child SAs", () => check(["rekey child", "rekey ike", "rekey all", "delete child"]), timeout);
  it("rekeys and reauthentications", () => check(["rekey child", "rekey ike", "rekey all", "reauthenticate"]), timeout);
  it("everything, also closing and opening the link", () => check(COMMANDS), timeout);
});
