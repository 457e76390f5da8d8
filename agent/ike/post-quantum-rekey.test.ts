import { describe, expect, it } from "vitest";
import { watchFlow } from "../testing/flow-watch.ts";
import { establishedPair, type linkConfigs, type Pair, type Side } from "../testing/pair.ts";
import { settlementFaults } from "../testing/settlement.ts";

const IKE = "aes256gcm16-prfsha384-x25519-ke1_mlkem768";
const ESP = "aes256gcm16-x25519-ke1_mlkem768";
const HYBRID = { both: { ikeProposals: [IKE], espProposals: [ESP] } };
/** Two follow-ups each, and fragments. */
const TWICE = {
  both: { ikeProposals: [`${IKE}-ke2_mlkem512`], espProposals: [`${ESP}-ke3_ecp256`] },
};
/** Each end prefers what it offers first, so that only one of two rekeys at once has follow-ups. */
const MIXED = {
  both: { ikeProposals: [IKE, "aes256gcm16-prfsha384-x25519"], espProposals: [ESP, "aes256gcm16-x25519"] },
  b: { ikeProposals: ["aes256gcm16-prfsha384-x25519", IKE], espProposals: ["aes256gcm16-x25519", ESP] },
};

function rekey(pair: Pair, side: Side, what: "ike" | "child" | "all"): void {
  pair.give(side, { kind: "rekey", linkId: "link", what });
}

/** Runs `operate` on an established pair under steady traffic; what is left, what was lost, and the pair. */
function play(seed: number, overrides: Parameters<typeof linkConfigs>[0], operate: (pair: Pair) => void): { readonly pair: Pair; readonly faults: string[] } {
  const pair = establishedPair(seed, overrides);
  pair.run(1_000);
  const losses = watchFlow(pair);
  operate(pair);
  const faults = settlementFaults(pair);
  return { pair, faults: [...faults, ...losses.map(String)] };
}

const followUps = (pair: Pair): number => pair.a.trace.filter((entry) => entry.exchange === "IKE_FOLLOWUP_KE" && entry.direction === "sent").length;

describe("rekeying with additional key exchanges", () => {
  for (const who of ["a", "b"] as const) {
    for (const what of ["child", "ike", "all"] as const) {
      for (const [mode, overrides, each] of [
        ["one", HYBRID, 1],
        ["two", TWICE, 2],
      ] as const) {
        it(`${what} by ${who} with ${mode} of them loses no packet and leaves one of each`, () => {
          const { pair, faults } = play(7, overrides, (one) => rekey(one, one[who], what));
          expect(faults).toEqual([]);
          expect(followUps(pair)).toBe(what === "all" ? 2 * each : each);
          for (const side of [pair.a, pair.b]) {
            const ike = side.link().ikeSas[0]!;
            expect(ike.suite).toBe(overrides.both.ikeProposals[0]);
            if (what !== "ike") expect(ike.children[0]!.suite).toBe(overrides.both.espProposals[0]);
          }
        });
      }
    }
  }

  // The seed sets all nonces, so that over the seeds every order of the four occurs.
  for (let seed = 1; seed <= 24; seed++) {
    for (const [whatA, whatB] of [
      ["child", "child"],
      ["ike", "ike"],
      ["child", "ike"],
      ["all", "all"],
    ] as const) {
      for (const [mode, overrides] of [
        ["hybrid", HYBRID],
        ["mixed", MIXED],
      ] as const) {
        it(`${whatA} by a and ${whatB} by b at once (${mode}, seed ${seed}) loses no packet and leaves one of each`, () => {
          const { faults } = play(seed, overrides, (pair) => {
            rekey(pair, pair.a, whatA);
            rekey(pair, pair.b, whatB);
          });
          expect(faults).toEqual([]);
        });
      }
    }
  }

  for (const what of ["child", "ike", "all"] as const) {
    for (const [mode, overrides] of [
      ["hybrid", HYBRID],
      ["mixed", MIXED],
    ] as const) {
      it(`settles a collision (${what}, ${mode}) in which any one packet is lost`, () => {
        for (let lost = 0; lost < 16; lost++) {
          for (let seed = 1; seed <= 4; seed++) {
            const { faults } = play(seed, overrides, (pair) => {
              const first = pair.link.sent.length;
              pair.link.drops = (packet) => packet.index === first + lost;
              rekey(pair, pair.a, what);
              rekey(pair, pair.b, what);
            });
            expect(faults, `packet ${lost}, seed ${seed}`).toEqual([]);
          }
        }
      });
    }
  }
});
