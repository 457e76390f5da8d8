import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { linkConfigs, Pair, TEST_OPTIONS } from "../testing/pair.ts";
import { parseMessage, serializeMessage } from "../wire/ikev2/message.ts";
import { IkeProtocolError } from "../wire/ikev2/protocol-error.ts";

/** A gateway under a flood that has been told of already, and an honest first request to it. */
function underFlood() {
  const pair = new Pair();
  const { a, b } = linkConfigs();
  const now = pair.clock.now();
  pair.give(pair.b, { kind: "setLink", link: { ...b, remoteAddresses: [], initiate: "respond" } });
  const request = pair.a.endpoint.handle({ kind: "setLink", link: a }, now).find((effect) => effect.kind === "transmit")!.bytes;
  for (let i = 0; i <= TEST_OPTIONS.cookieThreshold; i++) {
    const bytes = request.slice();
    bytes.set([9, i], 0);
    pair.b.endpoint.handle({ kind: "datagram", local: { address: pair.b.address, port: 500 }, remote: { address: `10.9.0.${i}`, port: 500 }, bytes }, now);
  }
  const remote = { address: "10.8.0.1", port: 500 };
  const local = { address: pair.b.address, port: 500 };
  const usual = (bytes: Uint8Array): Uint8Array[] =>
    pair.b.endpoint.handle({ kind: "datagram", local, remote, bytes }, now).flatMap((effect) => (effect.kind === "transmit" ? [effect.bytes] : []));
  return { pair, request, now, remote, usual, atOnce: (bytes: Uint8Array, at = now) => pair.b.endpoint.answerAtOnce(bytes, remote, at) };
}

describe("an IKE_SA_INIT under a flood", () => {
  it("is answered at once as it would be the usual way, and leaves nothing behind", () => {
    const { pair, request, atOnce, usual } = underFlood();
    const before = [pair.b.engine.ikeSas.size, pair.b.engine.halfOpen.size];
    const answer = atOnce(request);
    expect(answer).toEqual(usual(request)[0]);
    expect([pair.b.engine.ikeSas.size, pair.b.engine.halfOpen.size]).toEqual(before);
  });

  it("takes the usual way without a flood, once a second, with a cookie, and when it has been let in before", () => {
    const { pair, request, atOnce, usual, now, remote } = underFlood();
    expect(new Pair().b.endpoint.answerAtOnce(request, remote, now)).toBeNull();
    expect(atOnce(request, now + 1_000)).toBeNull();
    const { header, payloads } = parseMessage(request);
    const cookie = parseMessage(atOnce(request)!).payloads;
    const returned = serializeMessage(header, [...cookie, ...payloads]);
    expect(atOnce(returned)).toBeNull();
    const response = usual(returned);
    expect(response[0]!.length).toBeGreaterThan(100);
    expect(pair.b.engine.halfOpen.size).toBe(TEST_OPTIONS.cookieThreshold + 1);
    expect(atOnce(request)).toBeNull();
  });

  it("cut or changed anywhere gets the usual answer or none of its own, but for what only a full decoding refuses", () => {
    const { request, atOnce, usual } = underFlood();
    let answered = 0;
    const check = (bytes: Uint8Array) => {
      const answer = atOnce(bytes);
      if (answer === null) return;
      answered += 1;
      const [expected] = usual(bytes);
      if (expected === undefined) expect(() => parseMessage(bytes)).toThrow(IkeProtocolError);
      else expect(answer).toEqual(expected);
    };
    for (let length = 0; length < request.length; length++) check(request.subarray(0, length));
    expect(answered).toBe(0);
    for (let at = 0; at < request.length; at++)
      for (const bit of [1, 4, 0x20, 0x80]) {
        const bytes = request.slice();
        bytes[at]! ^= bit;
        check(bytes);
      }
    expect(answered).toBeGreaterThan(200);
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(request.length - 1), fc.nat(255)), { minLength: 1, maxLength: 4 }), (edits) => {
        const bytes = request.slice();
        for (const [at, octet] of edits) bytes[at] = octet;
        check(bytes);
      }),
      { numRuns: 6_000, seed: 7 },
    );
  });
});
