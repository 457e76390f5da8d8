import { describe, expect, it } from "vitest";
import { sealEsp } from "../../crypto/esp-cipher.ts";
import { Encr, Integ } from "../../wire/iana.ts";
import { padLengthFor, writeEspTrailer } from "../../wire/esp.ts";
import { type EspVector, espVectors } from "../../testing/esp-vectors.ts";
import { Arena } from "./arena.ts";
import { EspTransform } from "./esp-transform.ts";
import { loadGcmLibrary } from "./gcm-library.ts";

/** What this plane leaves to others, each with its reason. */
const left = new Map<string, string>([
  ["esp-12", "HMAC-SHA-1 is refused by default"],
  ["esp-14", "3DES and HMAC-SHA-1 are refused by default"],
  ["esp-15", "NULL encryption is refused by default"],
  ["esp-16", "CMAC is not offered"],
]);
const covered = espVectors().filter((vector) => !left.has(vector.id));

describe.each([
  { by: "OpenSSL alone", library: null },
  { by: "libIPSec_MB where it has the cipher", library: loadGcmLibrary("libIPSec_MB.so.1") },
])("EspTransform on known-answer packets, $by", ({ library }) => {
  const arena = new Arena(1 << 20);
  const at = arena.allocate(4_096);

  it("covers every vector but the named ones", () => {
    expect(covered.length + left.size).toBe(espVectors().length);
  });

  it.each(covered)("seals $id to the byte", (vector) => {
    const transform = new EspTransform(arena, vector.keys, "seal", vector.sequenceHigh !== undefined, null, library);
    const end = place(arena, at, vector, transform);
    expect(hex(arena.bytes.subarray(at, transform.protect(at, end, vector.sequenceHigh ?? 0)))).toBe(hex(vector.esp));
    transform.close();
  });

  it.each(covered)("opens $id", (vector) => {
    const transform = new EspTransform(arena, vector.keys, "open", vector.sequenceHigh !== undefined, null, library);
    arena.bytes.set(vector.esp, at);
    expect(transform.open(at, at + vector.esp.length, vector.sequenceHigh ?? 0)).toBe(true);
    const payloadAt = at + 8 + transform.ivOctets;
    expect(hex(arena.bytes.subarray(payloadAt, payloadAt + vector.payload.length))).toBe(hex(vector.payload));
    transform.close();
  });

  it.each(covered)("refuses $id with any one octet changed", (vector) => {
    const transform = new EspTransform(arena, vector.keys, "open", vector.sequenceHigh !== undefined, null, library);
    for (let octet = 0; octet < vector.esp.length; octet++) {
      arena.bytes.set(vector.esp, at);
      arena.bytes[at + octet] = (vector.esp[octet] ?? 0) ^ 0x40;
      expect(transform.open(at, at + vector.esp.length, vector.sequenceHigh ?? 0), `octet ${octet}`).toBe(false);
    }
    transform.close();
  });

  it("refuses every truncation", () => {
    for (const vector of covered) {
      const transform = new EspTransform(arena, vector.keys, "open", vector.sequenceHigh !== undefined, null, library);
      for (let length = 8; length < vector.esp.length; length++) {
        arena.bytes.set(vector.esp, at);
        expect(transform.open(at, at + length, vector.sequenceHigh ?? 0)).toBe(false);
      }
      transform.close();
    }
  });
});

describe("EspTransform", () => {
  const arena = new Arena(1 << 20);
  const at = arena.allocate(4_096);

  it("seals AES-CCM of every key and ICV length as the reference does, with and without ESN, and opens it unless one bit is changed", () => {
    const ids = [Encr.AES_CCM_8, Encr.AES_CCM_12, Encr.AES_CCM_16];
    for (const encr of ids)
      for (const keyOctets of [16, 24, 32])
        for (const sequenceHigh of [undefined, 7]) {
          const keys = {
            encr,
            encryptionKey: new Uint8Array(keyOctets).fill(keyOctets),
            salt: Uint8Array.of(1, 2, 3),
            integ: Integ.NONE,
            integrityKey: new Uint8Array(0),
          };
          const seal = new EspTransform(arena, keys, "seal", sequenceHigh !== undefined);
          const open = new EspTransform(arena, keys, "open", sequenceHigh !== undefined);
          // Twice with one context: nothing of the first packet may be left in it.
          for (const [sequence, octets] of [
            [5, 100],
            [6, 1_402],
            [7, 2],
          ] as const) {
            const id = { spi: 0x1234, sequence, ...(sequenceHigh === undefined ? {} : { sequenceHigh }) };
            const payload = Uint8Array.from({ length: octets }, (_, index) => index & 0xff);
            const iv = new Uint8Array(8);
            new DataView(iv.buffer).setUint32(0, sequenceHigh ?? 0);
            new DataView(iv.buffer).setUint32(4, sequence);
            const expected = sealEsp(keys, id, payload, 4, iv);
            arena.view.setUint32(at, id.spi);
            arena.view.setUint32(at + 4, sequence);
            arena.bytes.set(payload, at + 16);
            const contentEnd = writeEspTrailer(arena.bytes, at + 16 + octets, padLengthFor(octets, seal.alignment), 4);
            const end = seal.seal(at, contentEnd, sequence, sequenceHigh ?? 0);
            expect(hex(arena.bytes.subarray(at, end))).toBe(hex(expected));
            for (const changed of [0, 4, 8, 16, expected.length - 1]) {
              arena.bytes.set(expected, at);
              arena.bytes[at + changed] = (expected[changed] ?? 0) ^ 1;
              expect(open.open(at, at + expected.length, sequenceHigh ?? 0)).toBe(false);
            }
            arena.bytes.set(expected, at);
            expect(open.open(at, at + expected.length, sequenceHigh ?? 0)).toBe(true);
            expect(hex(arena.bytes.subarray(at + 16, at + 16 + octets))).toBe(hex(payload));
          }
          seal.close();
          open.close();
        }
  });

  it("opens what it seals with AES-CTR", () => {
    const keys = {
      encr: Encr.AES_CTR,
      encryptionKey: new Uint8Array(32).fill(1),
      salt: new Uint8Array(4).fill(2),
      integ: Integ.HMAC_SHA2_256_128,
      integrityKey: new Uint8Array(32).fill(3),
    };
    const seal = new EspTransform(arena, keys, "seal", false);
    const open = new EspTransform(arena, keys, "open", false);
    arena.bytes.fill(7, at + 16, at + 116);
    const end = seal.seal(at, at + 116, 9, 0);
    expect(arena.bytes[at + 20]).not.toBe(7);
    expect(open.open(at, end, 0)).toBe(true);
    expect(arena.bytes.subarray(at + 16, at + 116).every((octet) => octet === 7)).toBe(true);
  });
});

describe("Arena.sum", () => {
  it("agrees with a sum in JavaScript for every length and alignment", () => {
    const arena = new Arena(1 << 16);
    const at = arena.allocate(4_096);
    for (let i = 0; i < 4_096; i++) arena.bytes[at + i] = (i * 151 + 17) & 0xff;
    for (let length = 0; length < 200; length++)
      for (let shift = 0; shift < 9; shift++) expect(arena.sum(at + shift, length)).toBe(naiveSum(arena.bytes, at + shift, length));
    arena.bytes.fill(0xff, at, at + 3_000);
    expect(arena.sum(at, 3_000)).toBe(naiveSum(arena.bytes, at, 3_000));
  });
});

function naiveSum(bytes: Uint8Array, at: number, length: number): number {
  let sum = 0;
  for (let i = 0; i < length; i++) sum += (bytes[at + i] ?? 0) << (i % 2 === 0 ? 8 : 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return sum;
}

function place(arena: Arena, at: number, vector: EspVector, transform: EspTransform): number {
  arena.view.setUint32(at, vector.spi);
  arena.view.setUint32(at + 4, vector.sequence);
  arena.bytes.set(vector.iv, at + 8);
  const payloadAt = at + 8 + transform.ivOctets;
  arena.bytes.set(vector.payload, payloadAt);
  const padLength = padLengthFor(vector.payload.length, transform.alignment);
  return writeEspTrailer(arena.bytes, payloadAt + vector.payload.length, padLength, vector.nextHeader);
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}
