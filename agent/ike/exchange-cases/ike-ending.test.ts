import { describe, expect, it } from "vitest";
import { fromPrefix } from "../../ipsec/traffic-selector.ts";
import { type Bench, deleteChild, type ExchangeCase, layBench, nonce, rekey, testExchanges } from "../../testing/exchange-case.ts";
import { answerInstead } from "../../testing/forgery.ts";
import { linkConfigs, type Side } from "../../testing/pair.ts";
import { NotifyType } from "../../wire/iana.ts";
import { isEnding } from "../ike-sa.ts";
import { notify } from "../messaging.ts";

/*
 * An IKE SA that is to be deleted while a request is under way on it: its DELETE waits for the answer (RFC 7296 §2.3), which may be
 * lost again and again. Meanwhile nothing is begun on it and nothing is sent over its Child SAs.
 */

const SIDES = ["a", "b"] as const;
const HYBRID = { both: { ikeProposals: ["aes256gcm16-prfsha384-x25519-ke1_mlkem512"], espProposals: ["aes256gcm16-x25519-ke1_mlkem512"] } };

function other(bench: Bench, side: Side): Side {
  return side === bench.a ? bench.b : bench.a;
}

function command(bench: Bench, side: Side, kind: "restart" | "down" | "reauthenticate"): void {
  bench.pair.give(side, { kind, linkId: "link" });
}

/** From the octets: the exchange types of what waits. */
function exchanges(bench: Bench, side: Side): number[] {
  return bench.courier.waiting(side).map((packet) => packet.bytes[packet.bytes[0] === 0 && packet.bytes[3] === 0 ? 22 : 18]!);
}

const IKE_SA_INIT = 34;
const IKE_AUTH = 35;
const CREATE_CHILD_SA = 36;
const INFORMATIONAL = 37;

const restarts = SIDES.map(
  (who): ExchangeCase => ({
    interrupts: true,
    name: `${who} restarts the link while an answer is lost: the new IKE SA does not wait for the end of the old one, and tells the peer of it`,
    play: (bench) => {
      rekey(bench, bench[who], "child");
      bench.courier.keep(bench[who]);
      command(bench, bench[who], "restart");
      bench.courier.deliverAll();
      const peer = other(bench, bench[who]);
      expect([peer.link().state, bench[who].link().state]).toEqual(["up", "up"]);
      expect(peer.link().ikeSas.length).toBe(1);
    },
  }),
);

const followUps = SIDES.flatMap((who): ExchangeCase[] => [
  {
    interrupts: true,
    leaves: "none",
    configs: HYBRID,
    name: `${who} closes the link between CREATE_CHILD_SA and IKE_FOLLOWUP_KE: the DELETE is next`,
    play: (bench) => {
      rekey(bench, bench[who], "all");
      bench.courier.deliver(bench[who]);
      command(bench, bench[who], "down");
      bench.courier.deliver(other(bench, bench[who]));
      expect(exchanges(bench, bench[who])).toEqual([INFORMATIONAL]);
    },
  },
  {
    interrupts: true,
    leaves: "none",
    configs: HYBRID,
    name: `${who} closes the link while it waits for an answer, and the peer goes on with IKE_FOLLOWUP_KE: no traffic takes what would come of it`,
    play: (bench) => {
      const peer = other(bench, bench[who]);
      rekey(bench, peer, "child");
      bench.courier.deliver(peer);
      bench.pair.give(bench[who], { kind: "rekey", linkId: "link", what: "ike" });
      bench.courier.deliver(bench[who]);
      command(bench, bench[who], "down");
      bench.courier.deliver(peer);
      expect(bench[who].policies.get("link/net")!.action.kind).toBe("discard");
    },
    after: (bench) => expect(bench[who].policies.get("link/net")!.action.kind).toBe("discard"),
  },
]);

/** The old IKE SA waits for the answer about a rekey while the new one has taken over. */
function replaceWhileWaiting(bench: Bench, who: Side, what: "child" | "all"): void {
  rekey(bench, who, what);
  bench.courier.keep(who);
  command(bench, who, "reauthenticate");
  bench.courier.deliverAll();
  expect(who.trace.some((entry) => entry.exchange === "REPLACE")).toBe(true);
}

const replaced = SIDES.flatMap((who): ExchangeCase[] => [
  {
    name: `${who} reauthenticates while it waits for an answer, with more rekeys to come: the old IKE SA is not rekeyed any more`,
    play: (bench) => {
      replaceWhileWaiting(bench, bench[who], "all");
      expect([...bench[who].engine.ikeSas.values()].flatMap((sa) => sa.window.queue)).toEqual([{ kind: "deleteIke" }]);
    },
  },
  {
    interrupts: true,
    leaves: "none",
    name: `${who} reauthenticates while it waits for an answer, and is closed: nothing is sent over the old IKE SA's Child SA either`,
    play: (bench) => {
      replaceWhileWaiting(bench, bench[who], "child");
      command(bench, bench[who], "down");
      expect(bench[who].policies.get("link/net")!.action.kind).toBe("discard");
      expect(bench[who].outbound.size).toBe(0);
    },
  },
]);

/** The IKE SA of a link on demand goes with its last Child SA, and so does what a rekey that crossed its own has made. */
const emptied: ExchangeCase = {
  interrupts: true,
  leaves: "none",
  name: "b closes the Child SA while both rekey the IKE SA: a, which made it on demand, leaves neither new one behind",
  play: (bench) => {
    const { a, b, courier } = bench;
    bench.pair.give(a, { kind: "setLink", link: { ...linkConfigs().a, initiate: "onDemand" } });
    rekey(bench, a, "ike");
    rekey(bench, a, "child");
    deleteChild(bench, b);
    // Of the two rekeys b's is redundant.
    b.nonces.push(nonce(1));
    rekey(bench, b, "ike");
    courier.deliver(b);
    courier.deliver(a, 1);
    courier.deliver(b);
    courier.deliver(a);
    courier.deliver(b);
    expect([...a.engine.ikeSas.values()].map(isEnding)).toEqual([true, true, true]);
  },
};

/** What is to end, and is all that there is, is still sent over: a new IKE SA beside it is not the only one between the two (RFC 7296 §2.4). */
const sentOver = SIDES.map(
  (who): ExchangeCase => ({
    interrupts: true,
    name: `${who} begins anew while its DELETE of the last IKE SA waits for an answer: the peer is not told to forget that one`,
    play: (bench) => {
      const [beginner, peer] = [bench[who], other(bench, bench[who])];
      const deliver = (side: Side, exchange: number) => bench.courier.deliver(side, exchanges(bench, side).lastIndexOf(exchange));
      replaceWhileWaiting(bench, beginner, "child");
      // The new one ends: the peer cannot use an answer there (RFC 7296 §2.21.3).
      const child = peer.link().ikeSas.at(-1)!.children[0]!;
      bench.pair.give(peer, { kind: "expire", childSaId: child.id, spi: child.outboundSpi, hard: false });
      answerInstead(bench.courier, peer, beginner, [notify(NotifyType.INITIAL_CONTACT)]);
      deliver(peer, INFORMATIONAL);
      expect(beginner.policies.get("link/net")?.action.kind).toBe("protect");
      bench.pair.runUntil(() => exchanges(bench, beginner).includes(IKE_SA_INIT), 5_000);
      deliver(beginner, IKE_SA_INIT);
      deliver(peer, IKE_SA_INIT);
      deliver(beginner, IKE_AUTH);
      bench.courier.keep(peer, exchanges(bench, peer).indexOf(IKE_AUTH));
      bench.pair.run(3_000);
      const action = beginner.policies.get("link/net")?.action;
      expect(peer.inbound.has(action?.kind === "protect" ? action.spi : 0)).toBe(true);
    },
  }),
);

/** RFC 7296 §2.21.3: the two have different pictures now, so both start over; the peer hears of it although the first DELETE is lost. */
const unusable = SIDES.flatMap((who) =>
  (["child", "ike"] as const).map(
    (what): ExchangeCase => ({
      interrupts: true,
      name: `${who} gets an answer to its rekey (${what}) that it cannot use: it deletes the IKE SA, again and again until the peer has heard it`,
      play: (bench) => {
        const [asker, answerer] = [bench[who], other(bench, bench[who])];
        rekey(bench, asker, what);
        answerInstead(bench.courier, asker, answerer, [notify(NotifyType.INITIAL_CONTACT)]);
        expect(asker.failures()).toEqual([expect.stringContaining("answer to CREATE_CHILD_SA")]);
        const lost = bench.courier.keep(asker, exchanges(bench, asker).indexOf(INFORMATIONAL));
        expect(asker.policies.get("link/net")!.action.kind).toBe("discard");
        // All that would bring up a new one, which would tell the peer as well, is lost too.
        bench.courier.leave("lose");
        bench.pair.link.drops = (packet) => packet.bytes.length !== lost.bytes.length;
        bench.pair.run(3_000);
        expect(answerer.engine.ikeSas.size === 0 || answerer.link().ikeSas.every((sa) => sa.children.length === 0)).toBe(true);
      },
    }),
  ),
);

/** The peer's own rekey is unanswered, so that it does not know which of the two stays: the Child SAs are on the old IKE SA there. */
const undecided = SIDES.flatMap((who) =>
  (["the first", "every"] as const).map(
    (lost): ExchangeCase => ({
      interrupts: true,
      leaves: "none",
      name: `${who} has rekeyed the IKE SA and closes the link, the peer does not know yet whose rekey stays, and ${lost} DELETE of the old one is lost for a while`,
      play: (bench) => {
        const [closer, peer] = [bench[who], other(bench, bench[who])];
        rekey(bench, closer, "ike");
        rekey(bench, peer, "ike");
        bench.courier.keep(peer);
        bench.courier.deliver(closer);
        bench.courier.deliver(peer);
        const lostDelete = bench.courier.keep(closer);
        command(bench, closer, "down");
        bench.courier.deliverAll();
        if (lost === "the first") return;
        bench.courier.leave();
        bench.pair.link.drops = (packet) => packet.bytes.join() === lostDelete.bytes.join();
        bench.pair.run(3_000);
        bench.pair.link.drops = () => false;
      },
    }),
  ),
);

const rekeyedTwice = SIDES.map(
  (who): ExchangeCase => ({
    interrupts: true,
    leaves: "none",
    name: `${who} has rekeyed the IKE SA twice and closes the link: no DELETE overtakes that of the one before`,
    play: (bench) => {
      const [closer, peer] = [bench[who], other(bench, bench[who])];
      rekey(bench, closer, "ike");
      bench.courier.deliver(closer);
      bench.courier.deliver(peer);
      bench.courier.keep(closer);
      rekey(bench, peer, "ike");
      bench.courier.keep(peer);
      rekey(bench, closer, "ike");
      bench.courier.deliver(closer);
      bench.courier.deliver(peer);
      command(bench, closer, "down");
      bench.courier.deliverAll();
    },
  }),
);

describe("a link is closed that has been rekeyed twice", () => testExchanges(rekeyedTwice));
describe("an IKE SA that the peer has not settled on is deleted", () => testExchanges(undecided));
describe("nobody needs the IKE SA that is being rekeyed", () => testExchanges([emptied]));
describe("an IKE SA that waits for its end is all that there is", () => testExchanges(sentOver));
describe("an answer cannot be used", () => testExchanges(unusable));
describe("a link is restarted while an answer is lost", () => testExchanges(restarts));
describe("a link is closed in the middle of additional key exchanges (RFC 9370 §2.2.4)", () => testExchanges(followUps));
describe("an IKE SA is replaced while it waits for an answer", () => testExchanges(replaced));

describe("a link is closed and no answer gets through", () => {
  for (const who of SIDES) {
    it(`${who} gives up, and the DELETE that it could not send before is its last word`, () => {
      const bench = layBench({ interrupts: true, leaves: "none" }, null);
      bench.courier.leave();
      bench.pair.link.drops = (packet) => packet.to.address === bench[who].address;
      rekey(bench, bench[who], "child");
      command(bench, bench[who], "down");
      const peer = other(bench, bench[who]);
      const forgotten = bench.pair.runUntil(() => peer.link().ikeSas.length === 0, 60_000);
      expect([forgotten, peer.failures(), bench[who].engine.ikeSas.size]).toEqual([true, [], 0]);
    });
  }
});

describe("a second Child SA is asked for while the IKE SA is authenticated anew", () => {
  it("the old IKE SA stays until what it was asked for is on the new one too", () => {
    const bench = layBench({}, null);
    const { a, b } = linkConfigs();
    const two = { name: "two", localSelectors: [fromPrefix("10.1.1.0/24")], remoteSelectors: [fromPrefix("10.2.1.0/24")] };
    const twoAtB = { name: "two", localSelectors: two.remoteSelectors, remoteSelectors: two.localSelectors };
    bench.pair.give(bench.b, { kind: "setLink", link: { ...b, children: [...b.children, twoAtB] } });
    bench.pair.give(bench.a, { kind: "setLink", link: { ...a, children: [...a.children, two] } });
    expect(exchanges(bench, bench.a)).toEqual([CREATE_CHILD_SA]);
    bench.courier.deliver(bench.a);
    const answer = bench.courier.keep(bench.b);
    command(bench, bench.a, "reauthenticate");
    for (let round = 0; round < 2; round++) {
      bench.courier.deliver(bench.a);
      bench.courier.deliver(bench.b);
    }
    // The new one is up with its first child, and asks for the second.
    expect(exchanges(bench, bench.a)).toEqual([CREATE_CHILD_SA]);
    bench.courier.hand(answer);
    expect(exchanges(bench, bench.a)).toEqual([CREATE_CHILD_SA]);
    expect(bench.a.policies.get("link/two")!.action.kind).toBe("protect");
    bench.courier.deliverAll();
    expect([bench.a.link().ikeSas.length, bench.b.link().ikeSas.length]).toEqual([1, 1]);
    expect(bench.traffic.losses).toEqual([]);
  });
});
