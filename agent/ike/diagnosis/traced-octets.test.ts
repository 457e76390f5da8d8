import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { failureScenarios } from "../../testing/failures.ts";
import { establishedPair } from "../../testing/pair.ts";
import { AuthMethod, NotifyType } from "../../wire/iana.ts";
import { parsePayloads, serializePayloads } from "../../wire/ikev2/message.ts";
import type { Payload } from "../../wire/ikev2/message-types.ts";
import { IkeProtocolError } from "../../wire/ikev2/protocol-error.ts";
import { readTracedOctets, traceOctets } from "./traced-octets.ts";

const SECRET = new TextEncoder().encode("planted secret octets");
const notify = (type: number): Payload => ({ kind: "notify", protocolId: 0, spi: new Uint8Array(0), type, data: SECRET });

/** Every payload that may carry something secret, with a planted one in it. */
const SECRETS: readonly Payload[] = [
  { kind: "nonce", data: SECRET },
  { kind: "ke", method: 31, data: SECRET },
  { kind: "auth", method: AuthMethod.SHARED_KEY_MIC, data: SECRET },
  { kind: "eap", data: SECRET },
  { kind: "cp", data: SECRET },
  { kind: "unknown", payloadType: 99, critical: false, data: SECRET },
  notify(NotifyType.COOKIE),
  notify(NotifyType.ADDITIONAL_KEY_EXCHANGE),
  notify(40_960),
];

const hexOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

describe("the octets of a traced message", () => {
  it.each(SECRETS.map((payload) => [payload.kind === "notify" ? `notify ${payload.type}` : payload.kind, payload] as const))(
    "hold no secret of a payload %s, and decode to one of the same form",
    (_name, payload) => {
      const { firstPayload, bytes } = serializePayloads([payload, { kind: "idi", idType: 2, data: new TextEncoder().encode("a.example") }]);
      const traced = traceOctets(firstPayload, bytes)!;
      expect(traced.octets).not.toContain(hexOf(SECRET.subarray(4, 12)));
      const decoded = parsePayloads(traced.firstPayload, readTracedOctets(traced)!);
      expect(decoded.map((one) => one.kind)).toEqual([payload.kind, "idi"]);
      expect(decoded[1]).toEqual({ kind: "idi", idType: 2, data: new TextEncoder().encode("a.example") });
    },
  );

  it("cuts out everything behind the point where a malformed chain breaks", () => {
    const { firstPayload, bytes } = serializePayloads([{ kind: "nonce", data: SECRET }]);
    bytes[3] = 255;
    expect(traceOctets(firstPayload, bytes)!.octets).toBe(`000000ff(${SECRET.length})`);
  });

  it("whatever the octets are, nothing is thrown, the length stays, and reading them again changes nothing", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 255 }), fc.uint8Array({ maxLength: 300 }), (firstPayload, bytes) => {
        const traced = traceOctets(firstPayload, bytes)!;
        const read = readTracedOctets(traced)!;
        expect(read.length).toBe(bytes.length);
        expect(traceOctets(firstPayload, read)).toEqual(traced);
      }),
    );
  });

  it("what the codecs refuse they refuse for the same reason afterwards", () => {
    const reasonOf = (first: number, bytes: Uint8Array): string => {
      try {
        parsePayloads(first, bytes);
        return "";
      } catch (error) {
        if (!(error instanceof IkeProtocolError)) throw error;
        return error.sentence;
      }
    };
    fc.assert(
      fc.property(fc.constantFrom(33, 35, 38, 41, 42, 44, 45), fc.uint8Array({ maxLength: 60 }), (type, body) => {
        const bytes = Uint8Array.from([0, 0, 0, body.length + 4, ...body]);
        expect(reasonOf(type, readTracedOctets(traceOctets(type, bytes)!)!)).toBe(reasonOf(type, bytes));
      }),
    );
  });

  it("refuses a text that is no such octets, or claims to be long", () => {
    for (const octets of ["0", "zz", "(1", "(99999)", "00".repeat(8_193)]) expect(readTracedOctets({ firstPayload: 33, octets })).toBeNull();
  });

  it("a message that is too long is left out", () => expect(traceOctets(33, new Uint8Array(8_193))).toBeNull());
});

describe("what endpoints trace", () => {
  it("holds no key, no AUTH data, no nonce and no pre-shared key of a handshake and its rekeys", () => {
    const pair = establishedPair(4);
    const used = [new Uint8Array(32).fill(0xa7), new Uint8Array(32).fill(0xb8)];
    pair.a.nonces.push(...used);
    pair.give(pair.a, { kind: "rekey", linkId: "link", what: "all" });
    pair.run(5_000);
    const text = JSON.stringify([pair.a.trace, pair.b.trace]);
    const keys = [...pair.a.inbound.values(), ...pair.a.outbound.values()].map((sa) => hexOf(sa.keys.encryptionKey));
    for (const hidden of [...keys, hexOf(new TextEncoder().encode("a pre-shared key of the tests")), ...used.map((nonce) => hexOf(nonce.subarray(4)))])
      expect(text).not.toContain(hidden);
    expect(text).toContain("(32)");
  });

  it("decodes to what the trace says of it, in every failure but the one about what cannot be decoded", async () => {
    for (const scenario of failureScenarios.filter((one) => !one.name.startsWith("INVALID_SYNTAX"))) {
      const { pair } = await scenario.provoke();
      for (const entry of [...pair.a.trace, ...pair.b.trace]) {
        if (entry.wire === undefined) continue;
        const { wire } = entry;
        const names = parsePayloads(wire.firstPayload, readTracedOctets(wire)!).length;
        expect(names).toBe((entry.detail["payloads"] as unknown[]).length);
      }
    }
  });
});
