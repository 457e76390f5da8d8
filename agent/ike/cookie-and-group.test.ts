import { describe, expect, it } from "vitest";
import { linkConfigs, Pair } from "../testing/pair.ts";
import { Kex, NotifyType } from "../wire/iana.ts";
import { parseMessage, serializeMessage } from "../wire/ikev2/message.ts";
import type { Payload } from "../wire/ikev2/message-types.ts";
import { findNotify, findPayload, invalidKe, notify } from "./messaging.ts";

/* RFC 7296 §2.6.1: a responder may ask for a cookie and for another group, in either order, and may bind its cookie to whatever it likes. */

const groups = { a: { ikeProposals: ["aes256gcm16-prfsha384-x25519-ecp384"] }, b: { ikeProposals: ["aes256gcm16-prfsha384-ecp384"] } };

/** What an IKE_SA_INIT request says in turn: its cookie, its group, and its nonce, which must stay. */
function picture(bytes: Uint8Array): { readonly cookie: string | null; readonly group: number | undefined; readonly nonce: string } {
  const { payloads } = parseMessage(bytes);
  const cookie = findNotify(payloads, NotifyType.COOKIE);
  if (cookie !== null) expect(payloads[0], "the cookie comes first (RFC 7296 §2.6)").toBe(cookie);
  return { cookie: cookie === null ? null : hex(cookie.data), group: findPayload(payloads, "ke")?.method, nonce: hex(findPayload(payloads, "nonce")!.data) };
}

function hex(octets: Uint8Array): string {
  return Buffer.from(octets).toString("hex");
}

/** The requests of a real initiator to a responder that is played: it says this, one after the other. */
function requestsTo(answers: readonly Payload[]): ReturnType<typeof picture>[] {
  const pair = new Pair(5);
  const { a } = linkConfigs(groups);
  pair.give(pair.a, { kind: "setLink", link: a });
  for (const answer of answers) {
    const { header } = parseMessage(pair.link.sent.at(-1)!.bytes);
    const bytes = serializeMessage({ ...header, fromInitiator: false, isResponse: true }, [answer]);
    const [local, remote] = [
      { address: pair.a.address, port: 500 },
      { address: pair.b.address, port: 500 },
    ];
    pair.give(pair.a, { kind: "datagram", local, remote, bytes });
  }
  return pair.link.sent.map((packet) => picture(packet.bytes));
}

const cookie = (octet: number): Payload => notify(NotifyType.COOKIE, new Uint8Array(16).fill(octet));
const [first, second] = ["01".repeat(16), "02".repeat(16)];

describe("a cookie and another group", () => {
  it("asked for in this order: the cookie goes with the request of the new group", () => {
    const requests = requestsTo([cookie(1), invalidKe(Kex.ECP_384)]);
    const [{ nonce } = { nonce: "" }] = requests;
    //  HDR, SAi1, KEi(31), Ni              -->  <--  N(COOKIE)
    //  HDR, N(COOKIE), SAi1, KEi(31), Ni   -->  <--  N(INVALID_KE_PAYLOAD, 20)
    //  HDR, N(COOKIE), SAi1, KEi(20), Ni   -->
    expect(requests).toEqual([
      { cookie: null, group: Kex.X25519, nonce },
      { cookie: first, group: Kex.X25519, nonce },
      { cookie: first, group: Kex.ECP_384, nonce },
    ]);
  });

  it("asked for in the other order: the request of the new group is repeated with the cookie", () => {
    const requests = requestsTo([invalidKe(Kex.ECP_384), cookie(1)]);
    const [{ nonce } = { nonce: "" }] = requests;
    //  HDR, SAi1, KEi(31), Ni              -->  <--  N(INVALID_KE_PAYLOAD, 20)
    //  HDR, SAi1, KEi(20), Ni              -->  <--  N(COOKIE)
    //  HDR, N(COOKIE), SAi1, KEi(20), Ni   -->
    expect(requests).toEqual([
      { cookie: null, group: Kex.X25519, nonce },
      { cookie: null, group: Kex.ECP_384, nonce },
      { cookie: first, group: Kex.ECP_384, nonce },
    ]);
  });

  it("of a responder whose cookie is for one group: it is asked for again and the new one returned", () => {
    const requests = requestsTo([cookie(1), invalidKe(Kex.ECP_384), cookie(2)]);
    expect(requests.slice(2).map((one) => [one.cookie, one.group])).toEqual([
      [first, Kex.ECP_384],
      [second, Kex.ECP_384],
    ]);
    expect(new Set(requests.map((one) => one.nonce)).size).toBe(1);
  });

  it("the repeated request of either kind has the key exchange value of before, unless its group is another", () => {
    const values = (answers: readonly Payload[]) => {
      const pair = new Pair(5);
      pair.give(pair.a, { kind: "setLink", link: linkConfigs(groups).a });
      return answers.map((answer) => {
        const { header } = parseMessage(pair.link.sent.at(-1)!.bytes);
        const bytes = serializeMessage({ ...header, fromInitiator: false, isResponse: true }, [answer]);
        pair.give(pair.a, { kind: "datagram", local: { address: pair.a.address, port: 500 }, remote: { address: pair.b.address, port: 500 }, bytes });
        const [before, after] = pair.link.sent.slice(-2).map((packet) => hex(findPayload(parseMessage(packet.bytes).payloads, "ke")!.data));
        return before === after;
      });
    };
    expect(values([cookie(1), invalidKe(Kex.ECP_384), cookie(2)])).toEqual([true, false, true]);
  });

  it("both come up in three rounds with a busy responder of ours, which wants the cookie before it looks at the group", () => {
    const pair = attempt(new Pair(1, { b: { cookieThreshold: 0 } }));
    expect(requestsOf(pair)).toEqual([
      [false, Kex.X25519],
      [true, Kex.X25519],
      [true, Kex.ECP_384],
    ]);
    expect(pair.bothUp()).toBe(true);
    expect(pair.a.link().ikeSas[0]!.suite).toBe("aes256gcm16-prfsha384-ecp384");
  });

  it("both come up with one that becomes busy after it has asked for the group", () => {
    const pair = attempt(new Pair(1, { b: { cookieThreshold: 1 } }), (busy) => {
      const request = new Pair(9).a.endpoint.handle({ kind: "setLink", link: linkConfigs({ a: groups.b }).a }, busy.clock.now());
      const bytes = request.find((effect) => effect.kind === "transmit")!.bytes;
      busy.give(busy.b, { kind: "datagram", local: { address: busy.b.address, port: 500 }, remote: { address: "192.0.2.1", port: 501 }, bytes });
    });
    expect(requestsOf(pair)).toEqual([
      [false, Kex.X25519],
      [false, Kex.ECP_384],
      [true, Kex.ECP_384],
    ]);
    expect(pair.bothUp()).toBe(true);
  });
});

/** `afterFirst`: done when the responder has answered the first request. */
function attempt(pair: Pair, afterFirst: (pair: Pair) => void = () => undefined): Pair {
  const { a, b } = linkConfigs(groups);
  pair.give(pair.b, { kind: "setLink", link: b });
  pair.give(pair.a, { kind: "setLink", link: a });
  pair.runUntil(() => pair.link.sent.some((packet) => packet.from.address === pair.b.address));
  afterFirst(pair);
  pair.run(500);
  return pair;
}

function requestsOf(pair: Pair): (readonly [hasCookie: boolean, group: number | undefined])[] {
  const inits = pair.link.sent.filter((packet) => packet.from.address === pair.a.address && packet.bytes[18] === 34);
  return inits.map((packet) => picture(packet.bytes)).map((one) => [one.cookie !== null, one.group] as const);
}
