import { createHmac } from "node:crypto";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type AhVector, ahVectors } from "../testing/esp-vectors.ts";
import { Encr, Integ } from "../wire/iana.ts";
import { IPV6_HEADER } from "../wire/ah.ts";
import { internetChecksum } from "../wire/checksum.ts";
import { writeU16 } from "../wire/octets.ts";
import { openAh, sealAh } from "./ah-packet.ts";
import { CryptoError } from "../crypto/crypto-error.ts";
import { integSpecs } from "../crypto/integ.ts";
import type { AlgorithmUse } from "../crypto/packet-algorithms.ts";
import type { SaKeys } from "../crypto/sa-keys.ts";

const vectors = ahVectors();
/** HMAC-SHA-1 and CMAC, which no link negotiates. */
const outOfUse = ["ah-45", "ah-49"];
const use = ({ id }: AhVector): AlgorithmUse => (outOfUse.includes(id) ? "any" : "current");
const idOf = ({ spi, sequence, sequenceHigh }: AhVector) => ({ spi, sequence, ...(sequenceHigh === undefined ? {} : { sequenceHigh }) });

describe("known-answer packets that a kernel has accepted", () => {
  it("are eight, and refused where an algorithm is out of use, unless the caller says that it may be", () => {
    expect(vectors).toHaveLength(8);
    for (const vector of vectors.filter(({ id }) => outOfUse.includes(id))) {
      expect(failure(() => openAh(vector.keys, vector.wire))).toBe("unsupported");
      expect(failure(() => sealAh(vector.keys, vector, unprotected(vector)))).toBe("unsupported");
    }
  });

  it.each(vectors)("seals $id to the octet", (vector) => {
    expect(hex(sealAh(vector.keys, idOf(vector), unprotected(vector), use(vector)))).toBe(hex(vector.wire));
  });

  it.each(vectors)("opens $id", (vector) => {
    const opened = openAh(vector.keys, vector.wire, vector.sequenceHigh, use(vector));
    expect(opened).toMatchObject({ spi: vector.spi, sequence: vector.sequence, nextHeader: nextHeaderOf(vector) });
    expect(hex(vector.mode === "tunnel" ? opened.packet.subarray(opened.payloadAt) : opened.packet)).toBe(hex(vector.plain));
    expect(hex(opened.packet)).toBe(hex(unprotected(vector)));
  });

  it.each(vectors)("refuses $id with any octet changed but those that routers change, and cut anywhere", (vector) => {
    // The fragment offset may not be covered either, but a fragment is put together first.
    const mutable = vector.wire[0]! >> 4 === 4 ? [1, 6, 8, 10, 11] : [1, 2, 3, 7];
    for (let at = 0; at < vector.wire.length; at++) {
      const changed = Uint8Array.from(vector.wire);
      changed[at] = (changed[at] ?? 0) ^ 0x80;
      const outcome = failure(() => openAh(vector.keys, changed, vector.sequenceHigh, use(vector)));
      if (mutable.includes(at)) expect(outcome, `octet ${at}`).toBe("none");
      else expect(outcome, `octet ${at}`).toMatch(/^(integrity|badLength)$/);
    }
    for (let length = 0; length < vector.wire.length; length++)
      expect(failure(() => openAh(vector.keys, vector.wire.subarray(0, length), vector.sequenceHigh, use(vector)))).toBe("badLength");
  });

  it("refuses one with another upper half of the sequence number", () => {
    const vector = vectors.find(({ sequenceHigh }) => sequenceHigh !== undefined)!;
    expect(failure(() => openAh(vector.keys, vector.wire, vector.sequenceHigh! + 1))).toBe("integrity");
    expect(failure(() => openAh(vector.keys, vector.wire))).toBe("integrity");
  });
});

describe("every algorithm", () => {
  it.each(integSpecs)("$keyword opens what it sealed, IPv4 and IPv6, with and without ESN", ({ integ, keyOctets }) => {
    const u32 = fc.integer({ min: 0, max: 0xffff_ffff });
    fc.assert(
      fc.property(
        fc.constantFrom(4, 6),
        fc.uint8Array({ maxLength: 80 }),
        u32,
        u32,
        fc.option(u32, { nil: undefined }),
        (family, payload, spi, sequence, high) => {
          const packet = simplePacket(family, payload);
          const id = { spi, sequence, ...(high === undefined ? {} : { sequenceHigh: high }) };
          const sealed = sealAh(keysOf(integ, keyOctets), id, packet);
          // RFC 4302 §2: a multiple of 4 octets in IPv4, of 8 in IPv6.
          expect((sealed.length - packet.length) % (family === 4 ? 4 : 8)).toBe(0);
          const opened = openAh(keysOf(integ, keyOctets), sealed, high);
          expect(opened).toMatchObject({ spi, sequence, nextHeader: 17 });
          expect(hex(opened.packet)).toBe(hex(packet));
        },
      ),
      { numRuns: 25 },
    );
  });

  it("takes IPv4 from a sender that pads to 8 octets, as Linux does unless told otherwise", () => {
    const keys = keysOf(Integ.HMAC_SHA2_256_128, 32);
    const sealed = sealAh(keys, { spi: 0x1234, sequence: 1 }, simplePacket(4, new Uint8Array(8)));
    const padded = new Uint8Array(sealed.length + 4);
    padded.set(sealed.subarray(0, 48));
    padded.set(sealed.subarray(48), 52);
    padded[21] = padded[21]! + 1;
    writeU16(padded, 2, padded.length);
    // The padding is under the ICV, which is therefore another one.
    expect(failure(() => openAh(keys, padded))).toBe("integrity");
    padded.set(icvBySealing(keys, padded), 32);
    expect(hex(openAh(keys, padded).packet)).toBe(hex(simplePacket(4, new Uint8Array(8))));
  });
});

it("leaves a fragment and a half packet alone", () => {
  const keys = keysOf(Integ.HMAC_SHA2_256_128, 32);
  const packet = simplePacket(4, new Uint8Array(30));
  expect(failure(() => sealAh(keys, { spi: 1, sequence: 1 }, packet.subarray(0, 40)))).toBe("badLength");
  packet[6] = 0x20;
  expect(failure(() => sealAh(keys, { spi: 1, sequence: 1 }, packet))).toBe("badLength");
});

/** The ICV of a packet with AH of whatever length: HMAC over the form with zeros, written out here. */
function icvBySealing(keys: SaKeys, packet: Uint8Array): Uint8Array {
  const covered = packet.slice();
  for (const at of [1, 6, 7, 8, 10, 11]) covered[at] = 0;
  covered.fill(0, 32, 48);
  return new Uint8Array(createHmac("sha256", keys.integrityKey).update(covered).digest().subarray(0, 16));
}

/** The packet that AH was put into: in tunnel mode the outer header of the wire in front of the inner packet. */
function unprotected(vector: AhVector): Uint8Array {
  if (vector.mode === "transport") return vector.plain;
  const isV4 = vector.wire[0]! >> 4 === 4;
  const header = vector.wire.slice(0, isV4 ? 20 : IPV6_HEADER);
  header[isV4 ? 9 : 6] = nextHeaderOf(vector);
  const whole = Uint8Array.of(...header, ...vector.plain);
  writeU16(whole, isV4 ? 2 : 4, isV4 ? whole.length : vector.plain.length);
  if (isV4) {
    writeU16(whole, 10, 0);
    writeU16(whole, 10, internetChecksum(whole, 0, 20));
  }
  return whole;
}

function nextHeaderOf({ mode, plain }: AhVector): number {
  const isV4 = plain[0]! >> 4 === 4;
  if (mode === "tunnel") return isV4 ? 4 : 41;
  return plain[isV4 ? 9 : 6]!;
}

function simplePacket(family: 4 | 6, payload: Uint8Array): Uint8Array {
  const header = family === 4 ? new Uint8Array(20).fill(7, 12) : new Uint8Array(40).fill(7, 8);
  const packet = Uint8Array.of(...header, ...payload);
  packet[0] = family === 4 ? 0x45 : 0x60;
  packet[family === 4 ? 9 : 6] = 17;
  writeU16(packet, family === 4 ? 2 : 4, family === 4 ? packet.length : payload.length);
  if (family === 4) writeU16(packet, 10, internetChecksum(packet, 0, 20));
  return packet;
}

function keysOf(integ: Integ, keyOctets: number): SaKeys {
  return { encr: Encr.NULL, encryptionKey: new Uint8Array(0), salt: new Uint8Array(0), integ, integrityKey: new Uint8Array(keyOctets).fill(3) };
}

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
