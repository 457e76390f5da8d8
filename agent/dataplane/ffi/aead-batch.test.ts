import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { espVectors } from "../../testing/esp-vectors.ts";
import { padLengthFor, writeEspTrailer } from "../../wire/esp.ts";
import { Integ } from "../../wire/iana.ts";
import { AeadBatch } from "./aead-batch.ts";
import { Arena } from "./arena.ts";
import { EspTransform } from "./esp-transform.ts";
import { loadGcmLibrary } from "./gcm-library.ts";
import { loadNativeBatch, type NativeBatch } from "./native.ts";

/*
 * The native function against the calls it stands for: both must agree on every octet, and on what is refused. It is compiled here, so that
 * this file proves the source and not what an earlier set-up left.
 */
const source = fileURLToPath(new URL("../native/aead-batch.c", import.meta.url));
const directory = mkdtempSync(join(tmpdir(), "culvert-native-"));
const library = join(directory, "aead-batch.so");
const arena = new Arena(2 << 20);
const vectors = espVectors().filter((vector) => vector.keys.integ === Integ.NONE && vector.keys.salt.length === 4);
let native: NativeBatch;

beforeAll(() => {
  const compiled = spawnSync("cc", ["-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-o", library, source], { encoding: "utf8" });
  expect(compiled.stderr).toBe("");
  native = loadNativeBatch(library)!;
  expect(native).not.toBeNull();
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

describe.each([
  { by: "OpenSSL alone", gcm: null },
  { by: "libIPSec_MB where it has the cipher", gcm: loadGcmLibrary("libIPSec_MB.so.1") },
])("AeadBatch, $by", ({ gcm }) => {
  it("has known-answer packets to prove it with", () => expect(vectors.length).toBeGreaterThan(3));

  it("seals every known-answer packet of an AEAD cipher to the byte, all in one call", () => {
    const batch = new AeadBatch(arena, native, "seal", vectors.length);
    const placed = vectors.map((vector) => {
      const transform = new EspTransform(arena, vector.keys, "seal", vector.sequenceHigh !== undefined, batch, gcm);
      const at = arena.allocate(4_096);
      arena.bytes.set(vector.esp.subarray(0, 8 + transform.ivOctets), at);
      const payloadAt = at + 8 + transform.ivOctets;
      arena.bytes.set(vector.payload, payloadAt);
      const padLength = padLengthFor(vector.payload.length, transform.alignment);
      const contentEnd = writeEspTrailer(arena.bytes, payloadAt + vector.payload.length, padLength, vector.nextHeader);
      expect(transform.batched).not.toBeNull();
      return { vector, transform, at, end: transform.protect(at, contentEnd, vector.sequenceHigh ?? 0) };
    });
    expect(batch.isFull).toBe(true);
    batch.runSeals();
    for (const { vector, transform, at, end } of placed) {
      expect(hex(at, end), vector.id).toBe(Buffer.from(vector.esp).toString("hex"));
      transform.close();
    }
  });

  it("opens the intact ones of a batch and tells which were not", () => {
    const vector = vectors[0]!;
    const batch = new AeadBatch(arena, native, "open", 8);
    const transform = new EspTransform(arena, vector.keys, "open", vector.sequenceHigh !== undefined, batch, gcm);
    const ats = Array.from({ length: 8 }, () => arena.allocate(4_096));
    for (const [index, at] of ats.entries()) {
      arena.bytes.set(vector.esp, at);
      // Of the odd ones one octet is changed: header, IV, text or ICV.
      if (index % 2 === 1) arena.bytes[at + [0, 4, 8, 17, 30, 40, 3, vector.esp.length - 1][index]!]! ^= 0x01;
      expect(transform.batched!.note(transform.lineAt, at, at + vector.esp.length, vector.sequenceHigh ?? 0)).toBe(true);
    }
    expect(batch.run()).toBe(4);
    for (const [index, at] of ats.entries()) {
      expect(batch.succeeded(index), `packet ${index}`).toBe(index % 2 === 0);
      if (index % 2 === 1) continue;
      const payloadAt = at + 8 + transform.ivOctets;
      expect(hex(payloadAt, payloadAt + vector.payload.length)).toBe(Buffer.from(vector.payload).toString("hex"));
    }
    transform.close();
  });

  it("notes nothing of an impossible length", () => {
    const vector = vectors[0]!;
    const batch = new AeadBatch(arena, native, "open", 2);
    const transform = new EspTransform(arena, vector.keys, "open", false, batch, gcm);
    const at = arena.allocate(4_096);
    for (let length = 8; length < 8 + transform.ivOctets + 2 + transform.icvOctets; length++)
      expect(transform.batched!.note(transform.lineAt, at, at + length, 0)).toBe(false);
    expect(batch.run()).toBe(0);
    transform.close();
  });

  it("agrees with the call for call way on any packets of any SAs, sealed and opened again", () => {
    const packet = fc.record({ vector: fc.nat(vectors.length - 1), octets: fc.integer({ min: 1, max: 1_500 }), high: fc.nat(0xffff) });
    const sealing = new AeadBatch(arena, native, "seal", 16);
    const opening = new AeadBatch(arena, native, "open", 16);
    const slots = Array.from({ length: 32 }, () => arena.allocate(2_048));
    fc.assert(
      fc.property(fc.array(packet, { minLength: 1, maxLength: 16 }), (packets) => {
        const made = packets.map(({ vector, octets, high }, index) => {
          const { keys } = vectors[vector]!;
          const transforms = {
            batched: new EspTransform(arena, keys, "seal", true, sealing, gcm),
            single: new EspTransform(arena, keys, "seal", true, null, null),
            opening: new EspTransform(arena, keys, "open", true, opening, gcm),
          };
          const ends = (["batched", "single"] as const).map((way, copy) => {
            const at = slots[index * 2 + copy]!;
            const payloadAt = at + 8 + transforms[way].ivOctets;
            arena.bytes.fill(index, at, payloadAt + octets);
            const contentEnd = writeEspTrailer(arena.bytes, payloadAt + octets, padLengthFor(octets, transforms[way].alignment), 4);
            return transforms[way].seal(at, contentEnd, index + 1, high);
          });
          return { transforms, at: slots[index * 2]!, end: ends[0]!, other: slots[index * 2 + 1]!, otherEnd: ends[1]!, high };
        });
        sealing.runSeals();
        for (const { transforms, at, end, other, otherEnd, high } of made) {
          expect(hex(at, end)).toBe(hex(other, otherEnd));
          expect(transforms.opening.batched!.note(transforms.opening.lineAt, at, end, high)).toBe(true);
        }
        expect(opening.run()).toBe(0);
        for (const { transforms } of made) for (const transform of Object.values(transforms)) transform.close();
      }),
      { numRuns: 100 },
    );
  });

  it("seals by itself what no longer fits", () => {
    const vector = vectors[0]!;
    const batch = new AeadBatch(arena, native, "seal", 2);
    const transform = new EspTransform(arena, vector.keys, "seal", false, batch, gcm);
    const open = new EspTransform(arena, vector.keys, "open", false, null, null);
    const made = Array.from({ length: 5 }, (_, index) => {
      const at = arena.allocate(256);
      return { at, end: transform.seal(at, at + 8 + transform.ivOctets + 16, index + 1, 0) };
    });
    batch.runSeals();
    for (const { at, end } of made) expect(open.open(at, end, 0)).toBe(true);
    transform.close();
    open.close();
  });
});

it("does without a function whose jobs have another layout", () => {
  const [earlier, of] = [join(directory, "earlier.so"), join(directory, "earlier.c")];
  writeFileSync(of, "int culvert_aead_batch(void *jobs, int count, int seals) { return (jobs != 0) + count + seals; }\n");
  expect(spawnSync("cc", ["-shared", "-fPIC", "-o", earlier, of], { encoding: "utf8" }).stderr).toBe("");
  expect(loadNativeBatch(earlier)).toBeNull();
});

function hex(start: number, end: number): string {
  return Buffer.from(arena.bytes.subarray(start, end)).toString("hex");
}
