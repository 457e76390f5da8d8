import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ExchangeType, NotifyType } from "../iana.ts";
import { requireAllowedPayloads } from "./exchange-payloads.ts";
import { aadOf, frameSk, frameSkf, parseMessage, parsePayloads, refuseUnknownCritical, serializeMessage, serializePayloads } from "./message.ts";
import type { Header, IkeSpi, Payload, PayloadOf, Proposal, Transform, WireTrafficSelector } from "./message-types.ts";
import { IkeProtocolError } from "./protocol-error.ts";

const octets = (minLength: number, maxLength: number) => fc.uint8Array({ minLength, maxLength });
const u8 = fc.nat(255);
const u16 = fc.nat(65535);
const data = octets(0, 40);

const header: fc.Arbitrary<Header> = fc.record({
  spiI: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }).map((spi) => spi as IkeSpi),
  spiR: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }).map((spi) => spi as IkeSpi),
  majorVersion: fc.constant(2),
  minorVersion: fc.nat(15),
  exchangeType: u8,
  fromInitiator: fc.boolean(),
  isResponse: fc.boolean(),
  higherVersion: fc.boolean(),
  messageId: fc.nat(0xffffffff),
});

const attribute = fc.oneof(
  fc.record({ type: fc.nat(0x7fff), isShort: fc.constant(false), value: octets(0, 6) }),
  fc.record({ type: fc.integer({ min: 15, max: 0x7fff }), isShort: fc.constant(true), value: octets(2, 2) }),
);
const transform: fc.Arbitrary<Transform> = fc.record(
  { type: u8, id: u16, keyLengthBits: u16, unknownAttributes: fc.array(attribute, { minLength: 1, maxLength: 2 }) },
  { requiredKeys: ["type", "id"] },
);
const protocolAndSpi = fc.oneof(
  fc.record({ protocolId: fc.constant(1), spi: fc.oneof(octets(0, 0), octets(8, 8)) }),
  fc.record({ protocolId: fc.constantFrom(2, 3), spi: octets(4, 4) }),
  fc.record({ protocolId: fc.constant(77), spi: octets(0, 20) }),
);
const proposal: fc.Arbitrary<Proposal> = fc
  .record({ number: u8, what: protocolAndSpi, transforms: fc.array(transform, { maxLength: 5 }) })
  .map(({ number, what, transforms }) => ({ number, ...what, transforms }));

const selector: fc.Arbitrary<WireTrafficSelector> = fc
  .record({ size: fc.constantFrom(4, 16), a: octets(16, 16), ipProtocol: u8, ports: fc.tuple(u16, u16) })
  .map(({ size, a, ipProtocol, ports }) => ({
    type: size === 4 ? 7 : 8,
    ipProtocol,
    startPort: Math.min(...ports),
    endPort: Math.max(...ports),
    startAddress: a.slice(0, size),
    endAddress: new Uint8Array(size).fill(255),
  }));
const unknownSelector: fc.Arbitrary<WireTrafficSelector> = fc
  .record({ type: fc.constantFrom(1, 9, 10), ipProtocol: u8, startAddress: data })
  .map((some) => ({ ...some, startPort: 0, endPort: 0, endAddress: new Uint8Array(0) }));

const payload: fc.Arbitrary<Payload> = fc.oneof(
  fc.record({ kind: fc.constant("sa" as const), proposals: fc.array(proposal, { minLength: 1, maxLength: 3 }) }),
  fc.record({ kind: fc.constant("ke" as const), method: u16, data }),
  fc.record({ kind: fc.constantFrom("idi" as const, "idr" as const), idType: u8, data }),
  fc.record({ kind: fc.constant("cert" as const), encoding: u8, data }),
  fc.record({ kind: fc.constant("certreq" as const), encoding: u8, authorities: data }),
  fc.record({ kind: fc.constant("auth" as const), method: u8, data }),
  fc.record({ kind: fc.constant("nonce" as const), data: octets(16, 256) }),
  fc.record({ kind: fc.constant("notify" as const), protocolId: u8, spi: octets(0, 8), type: u16, data }),
  fc.record({ kind: fc.constant("delete" as const), protocolId: fc.constantFrom(2, 3), spis: fc.array(octets(4, 4), { maxLength: 3 }) }),
  fc.constant({ kind: "delete" as const, protocolId: 1, spis: [] }),
  fc.record({ kind: fc.constant("vendor" as const), data }),
  fc.record({
    kind: fc.constantFrom("tsi" as const, "tsr" as const),
    selectors: fc.array(fc.oneof(selector, unknownSelector), { minLength: 1, maxLength: 4 }),
  }),
  fc.record({ kind: fc.constantFrom("eap" as const, "cp" as const), data }),
  fc.record({ kind: fc.constant("unknown" as const), payloadType: fc.constantFrom(1, 49, 54, 200, 255), critical: fc.boolean(), data }),
);
const encrypted: fc.Arbitrary<Payload> = fc.oneof(
  fc.record({ kind: fc.constant("sk" as const), firstPayload: u8, body: data }),
  fc.record({
    kind: fc.constant("skf" as const),
    firstPayload: u8,
    fragmentNumber: fc.constantFrom(1, 2),
    totalFragments: fc.integer({ min: 2, max: 9 }),
    body: data,
  }),
);
const payloads = fc.tuple(fc.array(payload, { maxLength: 6 }), fc.option(encrypted)).map(([some, last]) => (last === null ? some : [...some, last]));

function errorOf(action: () => void): IkeProtocolError {
  try {
    action();
  } catch (error) {
    if (error instanceof IkeProtocolError) return error;
    throw error;
  }
  throw new Error("nothing was thrown");
}

const plainHeader: Header = {
  spiI: 1n as IkeSpi,
  spiR: 2n as IkeSpi,
  majorVersion: 2,
  minorVersion: 0,
  exchangeType: ExchangeType.INFORMATIONAL,
  fromInitiator: true,
  isResponse: false,
  higherVersion: false,
  messageId: 3,
};

describe("messages", () => {
  it("come back the same from octets, and the octets from them", () => {
    fc.assert(
      fc.property(header, payloads, (someHeader, some) => {
        const bytes = serializeMessage(someHeader, some);
        const parsed = parseMessage(bytes);
        expect(parsed).toEqual({ header: someHeader, payloads: some });
        expect(serializeMessage(parsed.header, parsed.payloads)).toEqual(bytes);
      }),
      { numRuns: 1000 },
    );
  });

  it("refuse every truncation with INVALID_SYNTAX, whatever the length field says", () => {
    fc.assert(
      fc.property(header, payloads, (someHeader, some) => {
        const bytes = serializeMessage(someHeader, some);
        for (let length = 0; length < bytes.length; length++) {
          const cut = bytes.slice(0, length);
          expect(errorOf(() => parseMessage(cut)).cause).toBe(NotifyType.INVALID_SYNTAX);
          if (length < 28) continue;
          new DataView(cut.buffer).setUint32(24, length);
          // A cut chain always ends inside a payload or before an announced one.
          expect(errorOf(() => parseMessage(cut)).cause).toBe(NotifyType.INVALID_SYNTAX);
        }
      }),
      { numRuns: 60 },
    );
  });

  it("put the type of the first payload inside into the SK header", () => {
    const inside: Payload[] = [{ kind: "delete", protocolId: 1, spis: [] }];
    const { firstPayload, bytes } = serializePayloads(inside);
    expect(firstPayload).toBe(42);
    expect(parsePayloads(firstPayload, bytes)).toEqual(inside);
    expect(serializePayloads([])).toEqual({ firstPayload: 0, bytes: new Uint8Array(0) });
  });

  it("are discarded below version 2 and answered above it", () => {
    const bytes = serializeMessage(plainHeader, []);
    bytes[17] = 0x10;
    expect(errorOf(() => parseMessage(bytes))).toMatchObject({ cause: NotifyType.INVALID_MAJOR_VERSION, disposition: "discard" });
    bytes[17] = 0x30;
    expect(errorOf(() => parseMessage(bytes))).toMatchObject({ cause: NotifyType.INVALID_MAJOR_VERSION, disposition: "notify" });
  });
});

describe("protected frames", () => {
  it("have the same AAD for the sender and the receiver of an SK message", () => {
    const framed = frameSk(plainHeader, 41, 20);
    framed.body.fill(7);
    const received = parseMessage(framed.bytes).payloads[0] as PayloadOf<"sk">;
    expect(received).toEqual({ kind: "sk", firstPayload: 41, body: new Uint8Array(20).fill(7) });
    expect(aadOf(framed.bytes, received)).toEqual(framed.aad);
    expect(framed.aad.length).toBe(32);
  });

  it("cover the fragment numbers with the AAD of an SKF message (RFC 7383 §2.5)", () => {
    const framed = frameSkf(plainHeader, { firstPayload: 0, fragmentNumber: 2, totalFragments: 3 }, 20);
    const received = parseMessage(framed.bytes).payloads[0] as PayloadOf<"skf">;
    expect(received).toMatchObject({ kind: "skf", firstPayload: 0, fragmentNumber: 2, totalFragments: 3 });
    expect(aadOf(framed.bytes, received)).toEqual(framed.aad);
    expect(framed.aad.length).toBe(36);
  });

  it.each([
    [0, 1],
    [2, 1],
    [0, 0],
  ])("refuse fragment %d of %d without an answer", (fragmentNumber, totalFragments) => {
    const { bytes } = frameSkf(plainHeader, { firstPayload: 0, fragmentNumber, totalFragments }, 20);
    expect(errorOf(() => parseMessage(bytes)).disposition).toBe("discard");
  });

  it("may not hold another encrypted payload", () => {
    expect(errorOf(() => parsePayloads(46, Uint8Array.of(0, 0, 0, 4))).cause).toBe(NotifyType.INVALID_SYNTAX);
  });
});

describe("strictness", () => {
  it.each<[string, number, number[]]>([
    ["a nonce of 15 octets", 40, [0, 0, 0, 19, ...new Array<number>(15).fill(1)]],
    ["a payload shorter than its header", 43, [0, 0, 0, 3]],
    ["octets behind the last payload", 43, [0, 0, 0, 4, 9]],
    ["an SK payload with octets behind it", 46, [33, 0, 0, 4, 0, 0, 0, 4]],
    ["a Delete of 65,535 empty SPIs", 42, [0, 0, 0, 8, 1, 0, 255, 255]],
    ["a selector range that runs backwards", 44, [0, 0, 0, 24, 1, 0, 0, 0, 7, 0, 0, 16, 0, 0, 255, 255, 10, 0, 0, 2, 10, 0, 0, 1]],
    ["more selectors than the count", 44, [0, 0, 0, 12, 1, 0, 0, 0, 99, 0, 0, 3]],
    ["an SA without proposals", 33, [0, 0, 0, 4]],
    ["a proposal that says more follow", 33, [0, 0, 0, 12, 2, 0, 0, 8, 1, 1, 0, 0]],
    ["fewer transforms than counted", 33, [0, 0, 0, 20, 0, 0, 0, 16, 1, 1, 0, 2, 0, 0, 0, 8, 1, 0, 0, 12]],
    ["an ESP proposal without SPI", 33, [0, 0, 0, 12, 0, 0, 0, 8, 1, 3, 0, 0]],
  ])("refuses %s", (_what, type, bytes) => {
    expect(errorOf(() => parsePayloads(type, Uint8Array.from(bytes))).cause).toBe(NotifyType.INVALID_SYNTAX);
  });

  it("keeps an unknown payload and refuses it only if it is critical (RFC 7296 §2.5)", () => {
    const some = parsePayloads(200, Uint8Array.of(0, 0x80, 0, 5, 1));
    expect(some).toEqual([{ kind: "unknown", payloadType: 200, critical: true, data: Uint8Array.of(1) }]);
    const error = errorOf(() => refuseUnknownCritical(some));
    expect([error.cause, error.data]).toEqual([NotifyType.UNSUPPORTED_CRITICAL_PAYLOAD, Uint8Array.of(200)]);
    expect(() => refuseUnknownCritical(parsePayloads(200, Uint8Array.of(0, 0, 0, 4)))).not.toThrow();
  });

  it("lets an exchange carry only its own payloads, and each as often as it may", () => {
    const nonce: Payload = { kind: "nonce", data: new Uint8Array(16) };
    expect(() => requireAllowedPayloads(ExchangeType.CREATE_CHILD_SA, "protected", [nonce])).not.toThrow();
    expect(errorOf(() => requireAllowedPayloads(ExchangeType.CREATE_CHILD_SA, "protected", [nonce, nonce])).cause).toBe(NotifyType.INVALID_SYNTAX);
    expect(errorOf(() => requireAllowedPayloads(ExchangeType.INFORMATIONAL, "protected", [nonce])).cause).toBe(NotifyType.INVALID_SYNTAX);
    expect(errorOf(() => requireAllowedPayloads(ExchangeType.IKE_AUTH, "clear", [nonce])).cause).toBe(NotifyType.INVALID_SYNTAX);
    // Only once it is known who sent it is an unknown exchange refused; outside of SK it carries nothing.
    expect(errorOf(() => requireAllowedPayloads(200, "protected", [])).cause).toBe(NotifyType.INVALID_SYNTAX);
    expect(errorOf(() => requireAllowedPayloads(200, "clear", [nonce])).cause).toBe(NotifyType.INVALID_SYNTAX);
    expect(() => requireAllowedPayloads(200, "clear", [])).not.toThrow();
  });
});
