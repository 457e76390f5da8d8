import { describe, expect, it } from "vitest";
import { Courier } from "../../testing/courier.ts";
import { nonce } from "../../testing/exchange-case.ts";
import { linkConfigs, Pair, type Side } from "../../testing/pair.ts";
import { settlementFaults } from "../../testing/settlement.ts";

/* Both ends begin a link at once, so that there are two IKE SAs of it; the one with the lowest nonce goes (as in RFC 7296 §2.8.2). */

const SIDES = ["a", "b"] as const;

/** After three rounds all but the answers to IKE_AUTH have arrived, after two their requests wait; `loser` began the one that goes. */
function beginBoth(loser: "a" | "b", rounds = 3): { readonly pair: Pair; readonly courier: Courier } {
  const pair = new Pair(3);
  pair[loser].nonces.push(nonce(1), nonce(50));
  pair[loser === "a" ? "b" : "a"].nonces.push(nonce(40), nonce(60));
  const configs = linkConfigs({ both: { initiate: "start" } });
  const courier = new Courier(pair);
  pair.give(pair.a, { kind: "setLink", link: configs.a });
  pair.give(pair.b, { kind: "setLink", link: configs.b });
  for (let round = 0; round < rounds; round++) {
    courier.deliver(pair.a);
    courier.deliver(pair.b);
  }
  return { pair, courier };
}

function settle(pair: Pair, courier: Courier): void {
  courier.leave();
  const faults = settlementFaults(pair);
  expect(faults, faults.join("; ")).toEqual([]);
  const linkDowns = [pair.a, pair.b].flatMap((side) => side.events.filter((event) => event.kind === "linkDown"));
  expect(linkDowns).toEqual([]);
}

function commands(pair: Pair, side: Side) {
  return {
    rekey: (what: "ike" | "child") => pair.give(side, { kind: "rekey", linkId: "link", what }),
    reauthenticate: () => pair.give(side, { kind: "reauthenticate", linkId: "link" }),
  };
}

describe("two IKE SAs of one link", () => {
  for (const loser of SIDES) {
    it(`the one that ${loser} began has the lowest nonce and goes`, () => {
      const { pair, courier } = beginBoth(loser);
      settle(pair, courier);
      expect(pair[loser].link().ikeSas[0]!.role).toBe("responder");
    });

    // The successor would stay at one end only, and be taken there for the newer of two.
    it(`the one that ${loser} began is to go, the other end rekeys it, and the answer is lost`, () => {
      const { pair, courier } = beginBoth(loser);
      const closer = pair[loser];
      const other = loser === "a" ? pair.b : pair.a;
      commands(pair, other).rekey("ike");
      courier.deliver(other);
      courier.deliver(other);
      courier.keep(closer, 2);
      settle(pair, courier);
    });

    for (const who of SIDES) {
      it(`the one that ${loser} began is to go and is rekeyed by ${who}, which has not seen the other yet`, () => {
        const { pair, courier } = beginBoth(loser);
        commands(pair, pair[who]).rekey("ike");
        settle(pair, courier);
      });

      it(`the one that a began is up and rekeyed by ${who} before the other is, and the one of ${loser} has the lowest nonce`, () => {
        const { pair, courier } = beginBoth(loser, 2);
        const late = courier.keep(pair.b);
        courier.deliverAll();
        expect([pair.a.link().state, pair.b.link().state]).toEqual(["up", "up"]);
        commands(pair, pair[who]).rekey("ike");
        courier.deliverAll();
        courier.hand(late);
        settle(pair, courier);
      });

      it(`the one that ${loser} began is to go while ${who} reauthenticates`, () => {
        const { pair, courier } = beginBoth(loser);
        commands(pair, pair[who]).reauthenticate();
        settle(pair, courier);
      });
    }
  }

  for (const loser of SIDES) {
    it(`the one that ${loser} began is to go, ${loser} deletes what the other end rekeys there, and neither answer is known to have arrived`, () => {
      const { pair, courier } = beginBoth(loser);
      const closer = pair[loser];
      const other = loser === "a" ? pair.b : pair.a;
      courier.deliver(pair.a);
      courier.deliver(pair.b);
      // Whether the other end has the one that stays is asked there, and the question does not arrive.
      courier.keep(closer);
      const childBegunAs = (side: Side, role: "initiator" | "responder") => side.link().ikeSas.find((sa) => sa.role === role)!.children[0]!;
      const [ours, theirs] = [childBegunAs(closer, "initiator"), childBegunAs(other, "responder")];
      // Of the two rekeys the closer's is redundant.
      closer.nonces.push(nonce(1));
      for (const hard of [false, true]) pair.give(closer, { kind: "expire", childSaId: ours.id, spi: ours.outboundSpi, hard });
      pair.give(other, { kind: "expire", childSaId: theirs.id, spi: theirs.outboundSpi, hard: false });
      courier.deliver(other);
      courier.keep(closer, 1);
      courier.deliver(closer);
      courier.deliver(other);
      expect(closer.outbound.has(ours.outboundSpi)).toBe(false);
      const action = closer.policies.get("link/net")?.action;
      expect(other.inbound.has(action?.kind === "protect" ? action.spi : 0)).toBe(true);
      settle(pair, courier);
    });
  }

  it("are replaced by a third that is deleted before them: of the two the one with the lowest nonce goes again", () => {
    const { pair, courier } = beginBoth("a");
    courier.deliver(pair.a);
    courier.deliver(pair.b);
    // Whether b has the one that stays a does not get to know.
    courier.keep(pair.a);
    commands(pair, pair.a).reauthenticate();
    courier.deliverAll();
    expect(pair.b.link().ikeSas.length).toBe(3);
    pair.give(pair.a, { kind: "down", linkId: "link" });
    courier.deliver(pair.a, courier.waiting(pair.a).length - 1);
    expect(pair.b.link().ikeSas.length).toBe(2);
    pair.give(pair.b, { kind: "down", linkId: "link" });
    courier.leave();
    expect(settlementFaults(pair, "none")).toEqual([]);
  });

  for (const who of SIDES) {
    it(`a reauthentication by ${who} that begins in the millisecond in which the one it replaces is done is none of two that both ends began`, () => {
      const pair = new Pair(3);
      pair.link.quality = { delayMs: 0, loss: 0, duplicate: 0, reorder: 0, reorderMs: 0 };
      const other = who === "a" ? "b" : "a";
      // What it draws is lowest, so that it would be the one to go.
      pair[who].nonces.push(nonce(20), nonce(21), nonce(1), nonce(2));
      pair[other].nonces.push(nonce(40), nonce(60), nonce(61), nonce(62));
      const configs = linkConfigs({ [who]: { initiate: "respond" }, [other]: { initiate: "start" } });
      pair.give(pair[who], { kind: "setLink", link: configs[who] });
      pair.give(pair[other], { kind: "setLink", link: configs[other] });
      pair.runUntil(() => pair.bothUp());
      commands(pair, pair[who]).reauthenticate();
      pair.run(0);
      const faults = settlementFaults(pair);
      expect(faults, faults.join("; ")).toEqual([]);
      expect(pair[who].trace.filter((entry) => entry.summary.includes("Both ends began at once"))).toEqual([]);
      expect(pair[who].link().ikeSas[0]!.role).toBe("initiator");
    });
  }
});
