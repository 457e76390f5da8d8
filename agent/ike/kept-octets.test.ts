import { describe, expect, it } from "vitest";
import { establishedPair, type Side } from "../testing/pair.ts";
import { parseMessage } from "../wire/ikev2/message.ts";
import { packOctets, unpackOctets } from "../wire/octets.ts";
import { type IkeSa, establishedPhase } from "./ike-sa.ts";

/*
 * A gateway of thousands of links holds each SA for hours. What an SA keeps beyond its keys is therefore counted here: octets in arrays of their own
 * are a quarter of a kilobyte each.
 */
describe("after authentication an IKE SA with its Child SA", () => {
  it("keeps no array of octets but SK_d, in whose memory its other keys lie too", () => {
    const pair = establishedPair(1);
    for (const side of [pair.a, pair.b]) {
      const sa = ikeSaOf(side);
      const { skD } = establishedPhase(sa)!.session.keys;
      expect(octetsOf(sa)).toEqual([skD.buffer]);
      expect(skD.buffer.byteLength).toBeGreaterThan(skD.length);
    }
  });

  it("keeps none after its rekey either", () => {
    const pair = establishedPair(2);
    pair.give(pair.a, { kind: "rekey", linkId: "link", what: "all" });
    pair.run(60_000);
    expect(pair.a.events.map((event) => event.kind)).toEqual(expect.arrayContaining(["ikeSaRekeyed", "childSaRekeyed"]));
    for (const side of [pair.a, pair.b]) expect(octetsOf(ikeSaOf(side))).toEqual([establishedPhase(ikeSaOf(side))!.session.keys.skD.buffer]);
  });

  it("keeps neither IKE_SA_INIT nor the higher nonce, and nothing that was for AUTH alone", () => {
    const pair = establishedPair(3);
    const messages = pair.link.sent.slice(0, 2).map((packet) => packet.bytes);
    const nonces = messages.map((bytes) => packOctets(parseMessage(bytes).payloads.find((payload) => payload.kind === "nonce")!.data));
    const lower = nonces[0]! < nonces[1]! ? nonces[0]! : nonces[1]!;
    for (const side of [pair.a, pair.b]) {
      const sa = ikeSaOf(side);
      const { session, authentication } = establishedPhase(sa)!;
      expect([session.keys.skPi.length, session.keys.skPr.length, session.peerHashes, session.requestedAuthorities]).toEqual([0, 0, null, null]);
      expect(authentication.lowestNonce).toBe(lower);
      const withNonce = stringsOf(sa).filter((text) => nonces.some((nonce) => text.includes(nonce)));
      expect(new Set(withNonce)).toEqual(new Set([lower]));
    }
  });

  it("repeats its last answer octet by octet although it keeps it as text", () => {
    const pair = establishedPair(4);
    pair.run(1_000);
    const answer = pair.link.sent.at(-1)!;
    const { lastResponse } = ikeSaOf(pair.b).window;
    expect(unpackOctets(lastResponse!.datagrams[0]!)).toEqual(new Uint8Array(answer.bytes));
  });
});

function ikeSaOf(side: Side): IkeSa {
  return [...side.engine.ikeSas.values()].find((sa) => establishedPhase(sa) !== null)!;
}

/** The buffers of all that is reachable, each once; configuration and empty arrays aside. */
function octetsOf(sa: IkeSa): ArrayBufferLike[] {
  const arrays = reachable(sa).filter((value) => value instanceof Uint8Array && value.length > 0) as Uint8Array[];
  return [...new Set(arrays.map((array) => array.buffer))];
}

function stringsOf(sa: IkeSa): string[] {
  return reachable(sa).filter((value) => typeof value === "string");
}

function reachable(root: unknown): unknown[] {
  const seen = new Set<unknown>();
  const visit = (value: unknown): void => {
    if (seen.has(value)) return;
    seen.add(value);
    if (typeof value !== "object" || value === null || value instanceof Uint8Array) return;
    if (value instanceof Map) for (const inner of value.values()) visit(inner);
    else for (const inner of Object.values(value)) visit(inner);
  };
  visit(root);
  return [...seen];
}
