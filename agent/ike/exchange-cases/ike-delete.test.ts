import { describe, expect, it, vi } from "vitest";
import { Courier } from "../../testing/courier.ts";
import { type Bench, type ExchangeCase, rekey, testExchanges } from "../../testing/exchange-case.ts";
import { establishedPair, linkConfigs, Pair, type Side } from "../../testing/pair.ts";
import { settlementFaults } from "../../testing/settlement.ts";

/* Deleting the IKE SA with all of its Child SAs (RFC 7296 §1.4.1, §2.25.2). */

const SIDES = ["a", "b"] as const;

function other(bench: Bench, side: Side): Side {
  return side === bench.a ? bench.b : bench.a;
}

function down(bench: Bench, side: Side): void {
  bench.pair.give(side, { kind: "down", linkId: "link" });
}

const ended = { interrupts: true, leaves: "none" } as const;

const alone = SIDES.flatMap((who): ExchangeCase[] => [
  { ...ended, name: `${who} deletes`, play: (bench) => down(bench, bench[who]) },
  {
    ...ended,
    name: `${who} deletes and the DELETE is lost`,
    play: (bench) => {
      down(bench, bench[who]);
      bench.courier.keep(bench[who]);
    },
  },
  {
    ...ended,
    name: `${who} deletes, the answer is lost, and the DELETE comes again: the same octets answer it`,
    play: (bench) => {
      down(bench, bench[who]);
      const request = bench.courier.deliver(bench[who]);
      const answer = bench.courier.keep(other(bench, bench[who]));
      bench.courier.hand(request);
      expect(bench.courier.waiting(other(bench, bench[who]))[0]!.bytes).toEqual(answer.bytes);
    },
  },
  {
    ...ended,
    name: `${who} deletes and no answer ever comes: it forgets the SA by itself`,
    play: (bench) => {
      down(bench, bench[who]);
      bench.courier.deliver(bench[who]);
      bench.courier.leave("lose");
      bench.pair.link.drops = (packet) => packet.to.address === bench[who].address;
      bench.pair.run(60_000);
      expect(bench[who].engine.ikeSas.size).toBe(0);
      expect(bench[who].failures()).toEqual([]);
    },
  },
  {
    ...ended,
    name: `${who} deletes while the other end waits for an answer about a Child SA`,
    play: (bench) => {
      rekey(bench, other(bench, bench[who]), "child");
      down(bench, bench[who]);
    },
  },
  {
    ...ended,
    name: `${who} deletes while it waits for an answer about a Child SA: first the answer, then the DELETE`,
    play: (bench) => {
      rekey(bench, bench[who], "child");
      down(bench, bench[who]);
      expect(bench.courier.waiting(bench[who]).length).toBe(1);
      expect(bench[who].policies.get("link/net")!.action.kind).toBe("discard");
      expect(bench[who].link().state).toBe("down");
    },
  },
  {
    interrupts: true,
    name: `${who} restarts the link`,
    play: (bench) => bench.pair.give(bench[who], { kind: "restart", linkId: "link" }),
  },
]);

/** What is under way makes something at the peer that has to go as well. */
const removed = SIDES.flatMap((who) =>
  (["child", "ike"] as const).flatMap((what) =>
    ["request", "answer"].map(
      (stage, index): ExchangeCase => ({
        ...ended,
        name: `the link is removed at ${who} while the ${stage} of its rekey of the ${what === "ike" ? "IKE" : "Child"} SA is on the way`,
        play: (bench) => {
          rekey(bench, bench[who], what);
          if (index === 1) bench.courier.deliver(bench[who]);
          bench.pair.give(bench[who], { kind: "removeLink", linkId: "link" });
          expect(bench[who].endpoint.snapshot(0)).toEqual([]);
          expect(bench[who].policies.size).toBe(0);
        },
        after: (bench) => expect(bench.pair.clock.now()).toBeLessThan(1_800_000_000_000 + 60_000),
      }),
    ),
  ),
);

const both = SIDES.map(
  (first): ExchangeCase => ({
    ...ended,
    name: `both ends delete at once, the DELETE of ${first} arrives first`,
    play: (bench) => {
      down(bench, bench.a);
      down(bench, bench.b);
      bench.courier.deliver(bench[first]);
    },
  }),
);

describe("one end deletes the IKE SA", () => testExchanges(alone));
describe("a link is removed while a rekey is under way", () => testExchanges(removed));
describe("both ends delete the IKE SA", () => testExchanges(both));

describe("a link is closed while it is being made", () => {
  for (const who of ["a", "b"] as const) {
    for (let packets = 0; packets <= 4; packets++) {
      it(`by ${who} after ${packets} packets: nothing stays at either end`, () => {
        const pair = new Pair(5);
        const configs = linkConfigs();
        const courier = new Courier(pair);
        pair.give(pair.b, { kind: "setLink", link: configs.b });
        pair.give(pair.a, { kind: "setLink", link: configs.a });
        for (let packet = 0; packet < packets; packet++) courier.deliver(packet % 2 === 0 ? pair.a : pair.b);
        pair.give(pair[who], { kind: "down", linkId: "link" });
        // The other end may try again, and is not let in: it gives up when told to.
        courier.leave();
        pair.run(5_000);
        pair.give(pair.a, { kind: "down", linkId: "link" });
        const faults = settlementFaults(pair, "none");
        expect(faults, faults.join("; ")).toEqual([]);
      });
    }
  }
});

describe("the answer to a DELETE", () => {
  it("leaves when nothing is sent on its Child SAs any more: the peer forgets them as soon as it has the answer", () => {
    const pair = establishedPair();
    const steps: string[] = [];
    const carryOut = pair.carryOut.bind(pair);
    vi.spyOn(pair, "carryOut").mockImplementation((side, effects) => {
      if (side === pair.b) for (const effect of effects) steps.push(effect.kind === "deleteSa" ? `deleteSa ${effect.direction}` : effect.kind);
      carryOut(side, effects);
    });
    pair.give(pair.a, { kind: "down", linkId: "link" });
    pair.run(900);
    const wanted = ["installPolicy", "deleteSa outbound", "transmit"];
    expect(steps.filter((step) => wanted.includes(step))).toEqual(wanted);
  });
});
