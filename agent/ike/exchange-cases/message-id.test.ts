import { describe, expect, it } from "vitest";
import { Courier } from "../../testing/courier.ts";
import { forge, forgeRequest, ikeSaOf } from "../../testing/forgery.ts";
import type { Packet } from "../../testing/lossy-link.ts";
import { establishedPair, type Pair, type Side } from "../../testing/pair.ts";
import { settlementFaults } from "../../testing/settlement.ts";
import { ExchangeType, NotifyType, ProtocolId } from "../../wire/iana.ts";
import type { Payload } from "../../wire/ikev2/message-types.ts";
import { notify } from "../messaging.ts";

/*
 * Message ids with a window of one (RFC 7296 §2.1–§2.3): each request is done once and answered with the same octets as often as it
 * comes; what is older or newer than due is not answered at all; a response counts only for the request that waits for it.
 */

const SIDES = ["a", "b"] as const;

function lay(): { readonly pair: Pair; readonly courier: Courier } {
  const pair = establishedPair(9);
  pair.run(1_000);
  return { pair, courier: new Courier(pair) };
}

function other(pair: Pair, side: Side): Side {
  return side === pair.a ? pair.b : pair.a;
}

/** The message ids and SAs of a side: what a message that is ignored must not move. */
function standing(side: Side): string {
  const { nextSend, nextReceive, outstanding } = ikeSaOf(side).window;
  const numbers = [nextSend, nextReceive, outstanding?.messageId ?? null, ...side.inbound.keys(), ...side.outbound.keys()];
  const policies = [...side.policies.values()].map(({ id, action }) => `${id} ${action.kind === "protect" ? action.spi : action.kind}`);
  return [...numbers, ...policies].join();
}

function expectIgnored(pair: Pair, courier: Courier, to: Side, packet: Packet): void {
  const before = standing(to);
  courier.hand(packet);
  expect(standing(to)).toBe(before);
  expect(courier.waiting(to)).toEqual([]);
  expectWorking(pair, courier);
}

/** The IKE SA can still do its work in both directions. */
function expectWorking(pair: Pair, courier: Courier): void {
  courier.leave();
  pair.give(pair.a, { kind: "rekey", linkId: "link", what: "all" });
  pair.run(3_000);
  pair.give(pair.b, { kind: "rekey", linkId: "link", what: "all" });
  const faults = settlementFaults(pair);
  expect(faults, faults.join("; ")).toEqual([]);
}

const DELETE_IKE: Payload = { kind: "delete", protocolId: ProtocolId.IKE, spis: [] };

for (const who of SIDES) {
  describe(`requests to ${who}`, () => {
    it("the same request again gets the same octets again and is not done twice", () => {
      const { pair, courier } = lay();
      const [to, from] = [pair[who], other(pair, pair[who])];
      pair.give(from, { kind: "rekey", linkId: "link", what: "child" });
      const request = courier.deliver(from);
      const answer = courier.keep(to);
      const before = standing(to);
      for (let time = 0; time < 3; time++) {
        courier.hand(request);
        expect(courier.keep(to).bytes).toEqual(answer.bytes);
      }
      expect(standing(to)).toBe(before);
      courier.hand(answer);
      expectWorking(pair, courier);
    });

    it("another request under an id that has been answered gets the first one's answer", () => {
      const { pair, courier } = lay();
      const [to, from] = [pair[who], other(pair, pair[who])];
      const messageId = ikeSaOf(from).window.nextSend;
      courier.hand(forgeRequest(from, to, ExchangeType.INFORMATIONAL, []));
      const answer = courier.keep(to);
      courier.hand(forge(from, to, { exchangeType: ExchangeType.INFORMATIONAL, messageId, payloads: [DELETE_IKE] }));
      expect(courier.keep(to).bytes).toEqual(answer.bytes);
      expectWorking(pair, courier);
    });

    it("a request older than the last is not answered", () => {
      const { pair, courier } = lay();
      const [to, from] = [pair[who], other(pair, pair[who])];
      const old = forgeRequest(from, to, ExchangeType.INFORMATIONAL, []);
      courier.hand(old);
      courier.keep(to);
      courier.hand(forgeRequest(from, to, ExchangeType.INFORMATIONAL, []));
      courier.keep(to);
      expectIgnored(pair, courier, to, old);
    });

    for (const ahead of [1, 2, 2 ** 31, 0xffffffff]) {
      it(`a request ${ahead} ahead of what is due is outside the window and not answered`, () => {
        const { pair, courier } = lay();
        const [to, from] = [pair[who], other(pair, pair[who])];
        const messageId = Math.min(0xffffffff, ikeSaOf(to).window.nextReceive + ahead);
        expectIgnored(pair, courier, to, forge(from, to, { exchangeType: ExchangeType.INFORMATIONAL, messageId, payloads: [DELETE_IKE] }));
      });
    }

    it("a request is answered while an own one waits for its answer", () => {
      const { pair, courier } = lay();
      const [to, from] = [pair[who], other(pair, pair[who])];
      pair.give(to, { kind: "rekey", linkId: "link", what: "child" });
      const own = courier.keep(to);
      courier.hand(forgeRequest(from, to, ExchangeType.INFORMATIONAL, []));
      expect(courier.waiting(to).length).toBe(1);
      expect(ikeSaOf(to).window.outstanding!.task.kind).toBe("rekeyChild");
      courier.hand(own);
      expectWorking(pair, courier);
    });

    it("a request with the role bit of the other side is not answered", () => {
      const { pair, courier } = lay();
      const [to, from] = [pair[who], other(pair, pair[who])];
      const { nextReceive: messageId } = ikeSaOf(to).window;
      const fromInitiator = ikeSaOf(from).role !== "initiator";
      expectIgnored(
        pair,
        courier,
        to,
        forge(from, to, { exchangeType: ExchangeType.INFORMATIONAL, messageId, payloads: [DELETE_IKE], header: { fromInitiator } }),
      );
    });

    it("an exchange that has no place here is answered with INVALID_SYNTAX, which ends the IKE SA, and the two begin anew", () => {
      const { pair, courier } = lay();
      const [to, from] = [pair[who], other(pair, pair[who])];
      courier.hand(forgeRequest(from, to, ExchangeType.IKE_AUTH, []));
      expect(to.trace.filter((entry) => entry.direction === "sent").at(-1)!.summary).toContain("INVALID_SYNTAX");
      expect(to.link().ikeSas).toEqual([]);
      courier.keep(to);
      expectWorking(pair, courier);
    });

    // RFC 7296 §2.21.3: what is authentic is answered. A peer without an answer would send it again and again and give the IKE SA up.
    for (const payloads of [[], [DELETE_IKE]]) {
      it(`an exchange that nobody has heard of (${payloads.length} payloads) is answered with INVALID_SYNTAX and not done; the IKE SA ends, and the two begin anew`, () => {
        const { pair, courier } = lay();
        const [to, from] = [pair[who], other(pair, pair[who])];
        const request = forgeRequest(from, to, 99, payloads);
        courier.hand(request);
        expect(to.trace.filter((entry) => entry.direction === "sent").at(-1)!.summary).toContain("INVALID_SYNTAX");
        const answer = courier.keep(to);
        expect([answer.bytes[18], answer.bytes.slice(20, 24)]).toEqual([99, request.bytes.slice(20, 24)]);
        courier.hand(request);
        expect(courier.keep(to).bytes).toEqual(answer.bytes);
        expect(to.link().ikeSas).toEqual([]);
        expectWorking(pair, courier);
      });
    }

    it("an exchange that nobody has heard of is not answered if it is not authentic, or a response", () => {
      const { pair, courier } = lay();
      const [to, from] = [pair[who], other(pair, pair[who])];
      const messageId = ikeSaOf(to).window.nextReceive;
      const forged = forge(from, to, { exchangeType: 99, messageId, payloads: [] });
      forged.bytes[forged.bytes.length - 1] = forged.bytes.at(-1)! ^ 1;
      expectIgnored(pair, courier, to, forged);
      const next = lay();
      const response = forge(other(next.pair, next.pair[who]), next.pair[who], { exchangeType: 99, messageId, payloads: [], isResponse: true });
      expectIgnored(next.pair, next.courier, next.pair[who], response);
    });
  });

  describe(`responses to ${who}`, () => {
    it("one that nothing waits for is ignored", () => {
      const { pair, courier } = lay();
      const [to, from] = [pair[who], other(pair, pair[who])];
      const { nextSend } = ikeSaOf(to).window;
      for (const messageId of [nextSend, nextSend - 1, nextSend + 1]) {
        courier.hand(forge(from, to, { exchangeType: ExchangeType.INFORMATIONAL, messageId, payloads: [], isResponse: true }));
      }
      expect(courier.waiting(to)).toEqual([]);
      expectWorking(pair, courier);
    });

    for (const [what, offset] of [
      ["of the request before", -1],
      ["of a request not made yet", 1],
    ] as const) {
      it(`one with the id ${what} leaves the request waiting`, () => {
        const { pair, courier } = lay();
        const [to, from] = [pair[who], other(pair, pair[who])];
        pair.give(to, { kind: "rekey", linkId: "link", what: "child" });
        const messageId = ikeSaOf(to).window.outstanding!.messageId + offset;
        const error = notify(NotifyType.NO_PROPOSAL_CHOSEN);
        const before = standing(to);
        courier.hand(forge(from, to, { exchangeType: ExchangeType.CREATE_CHILD_SA, messageId: messageId >>> 0, payloads: [error], isResponse: true }));
        expect(standing(to)).toBe(before);
        expectWorking(pair, courier);
      });
    }

    it("one of another exchange type leaves the request waiting", () => {
      const { pair, courier } = lay();
      const [to, from] = [pair[who], other(pair, pair[who])];
      pair.give(to, { kind: "rekey", linkId: "link", what: "child" });
      const { messageId } = ikeSaOf(to).window.outstanding!;
      const before = standing(to);
      courier.hand(forge(from, to, { exchangeType: ExchangeType.INFORMATIONAL, messageId, payloads: [], isResponse: true }));
      expect(standing(to)).toBe(before);
      expectWorking(pair, courier);
    });

    it("one with the role bit of the other side leaves the request waiting", () => {
      const { pair, courier } = lay();
      const [to, from] = [pair[who], other(pair, pair[who])];
      pair.give(to, { kind: "rekey", linkId: "link", what: "child" });
      const { messageId } = ikeSaOf(to).window.outstanding!;
      const before = standing(to);
      const header = { fromInitiator: ikeSaOf(from).role !== "initiator" };
      const payloads = [notify(NotifyType.NO_PROPOSAL_CHOSEN)];
      courier.hand(forge(from, to, { exchangeType: ExchangeType.CREATE_CHILD_SA, messageId, payloads, isResponse: true, header }));
      expect(standing(to)).toBe(before);
      expectWorking(pair, courier);
    });

    it("the same one again is ignored", () => {
      const { pair, courier } = lay();
      const [to, from] = [pair[who], other(pair, pair[who])];
      pair.give(to, { kind: "rekey", linkId: "link", what: "child" });
      courier.deliver(to);
      const answer = courier.deliver(from);
      const waiting = courier.waiting(to).length;
      const before = standing(to);
      courier.hand(answer);
      expect(standing(to)).toBe(before);
      expect(courier.waiting(to).length).toBe(waiting);
      expectWorking(pair, courier);
    });
  });

  describe(`requests of ${who}`, () => {
    it("there is one at a time, and the next has the next id", () => {
      const { pair, courier } = lay();
      const from = pair[who];
      const first = ikeSaOf(from).window.nextSend;
      pair.give(from, { kind: "rekey", linkId: "link", what: "all" });
      pair.give(from, { kind: "rekey", linkId: "link", what: "all" });
      expect(courier.waiting(from).length).toBe(1);
      expect(ikeSaOf(from).window.outstanding!.messageId).toBe(first);
      courier.deliver(from);
      courier.deliver(other(pair, from));
      expect(courier.waiting(from).length).toBe(1);
      expect(ikeSaOf(from).window.outstanding!.messageId).toBe(first + 1);
      expectWorking(pair, courier);
    });

    it("every retransmission has the same octets, later and later, and after the last the peer is given up", () => {
      const { pair } = lay();
      const from = pair[who];
      pair.link.drops = () => true;
      pair.give(from, { kind: "rekey", linkId: "link", what: "child" });
      const begun = pair.clock.now();
      const first = pair.link.sent.length - 1;
      expect(pair.runUntil(() => from.engine.ikeSas.size === 0 || from.link().ikeSas[0]!.state === "connecting", 60_000)).toBe(true);
      const sent = pair.link.sent.slice(first).filter((packet) => Buffer.from(packet.bytes).equals(Buffer.from(pair.link.sent[first]!.bytes)));
      expect(sent.length).toBe(6);
      expect(pair.clock.now() - begun).toBeGreaterThan(20_000);
      expect(from.failures()[0]).toMatch(/^PEER_SILENT/);
    });
  });
}
