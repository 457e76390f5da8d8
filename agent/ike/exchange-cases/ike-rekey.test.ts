import { describe, expect } from "vitest";
import { answerInstead } from "../../testing/forgery.ts";
import { type Bench, type ExchangeCase, rekey, testExchanges } from "../../testing/exchange-case.ts";
import type { Side } from "../../testing/pair.ts";
import { Kex, NotifyType } from "../../wire/iana.ts";
import { invalidKe, notify } from "../messaging.ts";

/*
 * Rekeying the IKE SA (RFC 7296 §1.3.2, §2.8, §2.8.2, §2.25.2). The new IKE SA
 * inherits the Child SAs, which keep their keys.
 */
const SIDES = ["a", "b"] as const;

function other(bench: Bench, side: Side): Side {
  return side === bench.a ? bench.b : bench.a;
}

/** The one whose exchange drew the lowest nonce is not the initiator of what stays. */
function expectInitiator(bench: Bench, name: "a" | "b"): void {
  const roles = { a: bench.a.link().ikeSas[0]!.role, b: bench.b.link().ikeSas[0]!.role };
  expect(roles).toEqual(name === "a" ? { a: "initiator", b: "responder" } : { a: "responder", b: "initiator" });
}

/** The IKE SA is another one than that of the handshake, in which a was the initiator. */
function expectNewIkeSa(bench: Bench): void {
  for (const side of [bench.a, bench.b]) expect(side.link().ikeSas[0]!.id).not.toBe("ike-1");
}

const alone = SIDES.flatMap((who): ExchangeCase[] => [
  {
    name: `${who} rekeys`,
    play: (bench) => rekey(bench, bench[who], "ike"),
    after: (bench) => expectInitiator(bench, who),
  },
  {
    name: `${who} rekeys and is asked for another group`,
    play: (bench) => {
      const answerer = other(bench, bench[who]);
      const { config } = answerer.engine.links.get("link")!;
      // It allows only the second from now on; the IKE SA in use stays.
      bench.pair.give(answerer, { kind: "setLink", link: { ...config, ikeProposals: ["aes256gcm16-prfsha384-ecp256"] } });
      rekey(bench, bench[who], "ike");
    },
    configs: { both: { ikeProposals: ["aes256gcm16-prfsha384-x25519-ecp256"] } },
    after: (bench) => expect(bench.a.link().ikeSas[0]!.suite).toBe("aes256gcm16-prfsha384-ecp256"),
  },
  ...["request", "answer", "DELETE", "answer to the DELETE"].map(
    (what, index): ExchangeCase => ({
      name: `${who} rekeys and the ${what} is lost`,
      play: (bench) => {
        rekey(bench, bench[who], "ike");
        const [asker, answerer] = [bench[who], other(bench, bench[who])];
        for (let packet = 0; packet < index; packet++) bench.courier.deliver(packet % 2 === 0 ? asker : answerer);
        bench.courier.keep(index % 2 === 0 ? asker : answerer);
      },
      after: expectNewIkeSa,
    }),
  ),
  {
    name: `${who} rekeys and every packet comes twice`,
    play: (bench) => {
      rekey(bench, bench[who], "ike");
      for (let packet = 0; packet < 4; packet++) bench.courier.hand(bench.courier.deliver(packet % 2 === 0 ? bench[who] : other(bench, bench[who])));
    },
    after: (bench) => expectInitiator(bench, who),
  },
  {
    name: `${who} rekeys and the other end's first request on the new IKE SA overtakes the answer`,
    play: (bench) => {
      const [asker, answerer] = [bench[who], other(bench, bench[who])];
      rekey(bench, asker, "ike");
      bench.courier.deliver(asker);
      rekey(bench, answerer, "child");
      bench.courier.deliver(answerer, 1);
    },
    after: (bench) => {
      expectNewIkeSa(bench);
      expect(bench.a.events.filter((event) => event.kind === "childSaRekeyed").length).toBe(1);
    },
  },
  {
    name: `${who} never deletes the old IKE SA: the other end does, after a minute`,
    forges: true,
    play: (bench) => {
      const [asker, answerer] = [bench[who], other(bench, bench[who])];
      rekey(bench, asker, "ike");
      bench.courier.deliver(asker);
      bench.courier.deliver(answerer);
      const old = [...asker.engine.ikeSas.values()][0]!;
      // The DELETE is lost again and again while its sender believes that it was answered.
      bench.courier.keep(asker);
      old.window.outstanding = null;
      bench.courier.leave();
      bench.pair.run(55_000);
      expect(answerer.engine.ikeSas.size).toBe(2);
      asker.engine.ikeSas.delete(old.role === "initiator" ? old.spiI : old.spiR);
    },
    after: expectNewIkeSa,
  },
]);

const refused = SIDES.flatMap((who): ExchangeCase[] => [
  ...(["TEMPORARY_FAILURE", "NO_PROPOSAL_CHOSEN", "NO_ADDITIONAL_SAS"] as const).map(
    (error): ExchangeCase => ({
      name: `${who} is refused with ${error}: the IKE SA goes on and the rekey succeeds later`,
      play: (bench) => {
        rekey(bench, bench[who], "ike");
        answerInstead(bench.courier, bench[who], other(bench, bench[who]), [notify(NotifyType[error])]);
        expect(bench[who].link().ikeSas.map((sa) => [sa.id, sa.state])).toEqual([["ike-1", "established"]]);
        bench.courier.leave();
        expect(bench.pair.runUntil(() => bench[who].link().ikeSas[0]!.id !== "ike-1", 65_000)).toBe(true);
      },
      after: expectNewIkeSa,
    }),
  ),
  {
    name: `${who} is asked for the group that it sent: refused, and tried again later`,
    play: (bench) => {
      rekey(bench, bench[who], "ike");
      answerInstead(bench.courier, bench[who], other(bench, bench[who]), [invalidKe(Kex.X25519)]);
      expect(bench.courier.waiting(bench[who])).toEqual([]);
      bench.courier.leave();
      expect(bench.pair.runUntil(() => bench[who].link().ikeSas[0]!.id !== "ike-1", 65_000)).toBe(true);
    },
    after: expectNewIkeSa,
  },
]);

/** One rekeys the IKE SA, the other deletes it. */
const againstDelete = SIDES.flatMap((who) =>
  ["rekey first", "DELETE first", "the rekey is lost", "the DELETE is lost"].map(
    (order): ExchangeCase => ({
      name: `${who} rekeys what the other end closes: ${order}`,
      interrupts: true,
      leaves: "none",
      play: (bench) => {
        const [asker, deleter] = [bench[who], other(bench, bench[who])];
        rekey(bench, asker, "ike");
        bench.pair.give(deleter, { kind: "down", linkId: "link" });
        switch (order) {
          case "rekey first":
            return void bench.courier.deliver(asker);
          case "DELETE first":
            return void bench.courier.deliver(deleter);
          case "the rekey is lost":
            return void bench.courier.keep(asker);
          default:
            return void bench.courier.keep(deleter);
        }
      },
    }),
  ),
);

/** The end that rekeys is told to close the link before it has its answer. */
const thenDown = SIDES.flatMap((who) =>
  ["request", "answer", "DELETE"].map(
    (stage, index): ExchangeCase => ({
      name: `${who} rekeys and is told to close the link while its ${stage} is on the way`,
      interrupts: true,
      leaves: "none",
      play: (bench) => {
        const [asker, answerer] = [bench[who], other(bench, bench[who])];
        rekey(bench, asker, "ike");
        for (let packet = 0; packet < index; packet++) bench.courier.deliver(packet % 2 === 0 ? asker : answerer);
        bench.pair.give(asker, { kind: "down", linkId: "link" });
      },
      after: (bench) => expect(bench.pair.clock.now()).toBeLessThan(1_800_000_000_000 + 60_000),
    }),
  ),
);

describe("one end rekeys the IKE SA", () => testExchanges(alone));
describe("a rekey of the IKE SA is refused", () => testExchanges(refused));
describe("the IKE SA is rekeyed by one end and closed by the other", () => testExchanges(againstDelete));
describe("the end that rekeys the IKE SA closes it", () => testExchanges(thenDown));
