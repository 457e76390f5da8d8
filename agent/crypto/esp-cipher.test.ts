import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type EspVector, espVectors } from "../testing/esp-vectors.ts";
import { internetChecksum } from "../wire/checksum.ts";
import { Encr, Integ } from "../wire/iana.ts";
import { writeU16 } from "../wire/octets.ts";
import { classifyEncapsulated } from "../wire/udp-encap.ts";
import { aeadSeal } from "./aead.ts";
import { CryptoError } from "./crypto-error.ts";
import { type CipherSpec, cipherSpecs, findCipher } from "./encr.ts";
import { openEsp, sealEsp } from "./esp-cipher.ts";
import type { AlgorithmUse } from "./packet-algorithms.ts";
import { type IntegSpec, integSpecs } from "./integ.ts";
import type { SaKeys } from "./sa-keys.ts";

/** Algorithms that no link negotiates: they open and seal only for a caller that says so. */
const outOfUse = new Map([
  ["esp-12", "HMAC-SHA-1"],
  ["esp-14", "3DES and HMAC-SHA-1"],
  ["esp-15", "NULL"],
  ["esp-16", "CMAC"],
]);
const covered = espVectors();
const use = (vector: EspVector): AlgorithmUse => (outOfUse.has(vector.id) ? "any" : "current");

describe("known-answer packets that a kernel has accepted", () => {
  it("are refused where an algorithm is out of use, unless the caller says that it may be", () => {
    for (const vector of covered.filter((one) => outOfUse.has(one.id))) {
      expect(
        failure(() => openEsp(vector.keys, vector.esp)),
        vector.id,
      ).toBe("unsupported");
      expect(failure(() => sealEsp(vector.keys, vector, vector.payload, vector.nextHeader, vector.iv))).toBe("unsupported");
    }
  });

  it.each(covered)("seals $id to the octet", (vector) => {
    const high = vector.sequenceHigh === undefined ? {} : { sequenceHigh: vector.sequenceHigh };
    const packet = sealEsp(vector.keys, { spi: vector.spi, sequence: vector.sequence, ...high }, vector.payload, vector.nextHeader, vector.iv, use(vector));
    expect(hex(packet)).toBe(hex(vector.esp));
  });

  it.each(covered)("opens $id", (vector) => {
    const opened = openEsp(vector.keys, vector.esp, vector.sequenceHigh, use(vector));
    expect(opened).toMatchObject({ spi: vector.spi, sequence: vector.sequence, nextHeader: vector.nextHeader });
    expect(hex(opened.payload)).toBe(hex(vector.payload));
  });

  it.each(covered)("refuses $id with any octet changed, and cut anywhere", (vector) => {
    for (let at = 0; at < vector.esp.length; at++) {
      const changed = Uint8Array.from(vector.esp);
      changed[at] = (changed[at] ?? 0) ^ 0x80;
      expect(
        failure(() => openEsp(vector.keys, changed, vector.sequenceHigh, use(vector))),
        `octet ${at}`,
      ).toBe("integrity");
    }
    for (let length = 0; length < vector.esp.length; length++)
      expect(failure(() => openEsp(vector.keys, vector.esp.subarray(0, length), vector.sequenceHigh, use(vector)))).toMatch(/^(integrity|badLength)$/);
  });

  it.each(covered.filter((vector) => vector.sequenceHigh !== undefined))("refuses $id with another upper half of the sequence number", (vector) => {
    expect(failure(() => openEsp(vector.keys, vector.esp, (vector.sequenceHigh ?? 0) + 1))).toBe("integrity");
    expect(failure(() => openEsp(vector.keys, vector.esp))).toBe("integrity");
  });
});

describe("the whole packet on the wire", () => {
  it.each(covered)("$id comes out of its outer headers and is the original again", (vector) => {
    const { wire, plain } = vector;
    const isV4 = wire[0]! >> 4 === 4;
    const espAt = (isV4 ? 20 : 40) + (vector.isUdpEncapsulated ? 8 : 0);
    if (vector.isUdpEncapsulated) expect([wire[isV4 ? 9 : 6], classifyEncapsulated(wire, espAt, wire.length)]).toEqual([17, "esp"]);
    else expect(wire[isV4 ? 9 : 6]).toBe(50);
    const { payload, nextHeader } = openEsp(vector.keys, wire.subarray(espAt), vector.sequenceHigh, use(vector));
    if (vector.mode === "tunnel") return expect(hex(payload)).toBe(hex(plain));
    expect(hex(inTransport(wire, payload, nextHeader))).toBe(hex(plain));
  });
});

/** RFC 4303 §3.1.1: the packet's own IP header, told of the protocol and the length again. */
function inTransport(wire: Uint8Array, payload: Uint8Array, nextHeader: number): Uint8Array {
  const isV4 = wire[0]! >> 4 === 4;
  const header = wire.slice(0, isV4 ? 20 : 40);
  header[isV4 ? 9 : 6] = nextHeader;
  writeU16(header, isV4 ? 2 : 4, isV4 ? 20 + payload.length : payload.length);
  if (isV4) {
    writeU16(header, 10, 0);
    writeU16(header, 10, internetChecksum(header, 0, 20));
  }
  return Uint8Array.of(...header, ...payload);
}

const suites = cipherSpecs.flatMap((cipher): { name: string; cipher: CipherSpec; integ: IntegSpec | undefined }[] =>
  cipher.icvOctets > 0
    ? [{ name: cipher.keyword, cipher, integ: undefined }]
    : integSpecs.map((integ) => ({ name: `${cipher.keyword}-${integ.keyword}`, cipher, integ })),
);

describe("every suite", () => {
  it.each(suites)("$name opens what it sealed", ({ cipher, integ }) => {
    const keys: SaKeys = {
      encr: cipher.encr,
      encryptionKey: new Uint8Array(cipher.keyOctets).fill(1),
      salt: new Uint8Array(cipher.saltOctets).fill(2),
      integ: integ?.integ ?? Integ.NONE,
      integrityKey: new Uint8Array(integ?.keyOctets ?? 0).fill(3),
    };
    const u32 = fc.integer({ min: 0, max: 0xffff_ffff });
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 100 }),
        u32,
        u32,
        fc.option(u32, { nil: undefined }),
        fc.integer({ min: 0, max: 255 }),
        (payload, spi, sequence, high, nextHeader) => {
          const id = high === undefined ? { spi, sequence } : { spi, sequence, sequenceHigh: high };
          const packet = sealEsp(keys, id, payload, nextHeader, new Uint8Array(cipher.ivOctets).fill(4));
          const opened = openEsp(keys, packet, high);
          expect(opened).toMatchObject({ spi, sequence, nextHeader });
          expect(hex(opened.payload)).toBe(hex(payload));
        },
      ),
      { numRuns: 25 },
    );
  });
});

it("refuses padding that is longer than the packet, or not 1, 2, 3", () => {
  const cipher = findCipher(Encr.AES_GCM_16, 128);
  if (cipher === undefined) throw new Error("no AES-GCM");
  const key = new Uint8Array(16).fill(1);
  const keys: SaKeys = { encr: Encr.AES_GCM_16, encryptionKey: key, salt: new Uint8Array(4), integ: Integ.NONE, integrityKey: new Uint8Array(0) };
  const header = Uint8Array.of(0, 0, 1, 0, 0, 0, 0, 1);
  const packet = (content: Uint8Array) => Uint8Array.of(...header, ...new Uint8Array(8), ...aeadSeal(cipher, key, new Uint8Array(12), header, content));
  expect(hex(openEsp(keys, packet(Uint8Array.of(9, 9, 1, 2, 2, 4))).payload)).toBe("0909");
  expect(failure(() => openEsp(keys, packet(Uint8Array.of(9, 9, 1, 3, 2, 4))))).toBe("badLength");
  expect(failure(() => openEsp(keys, packet(Uint8Array.of(9, 9, 1, 2, 5, 4))))).toBe("badLength");
});

/** The code of the CryptoError, or "none". Any other error is a bug and surfaces. */
function failure(run: () => unknown): string {
  try {
    run();
    return "none";
  } catch (error) {
    if (error instanceof CryptoError) return error.code;
    throw error;
  }
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}
