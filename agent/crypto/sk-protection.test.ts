import { createDecipheriv, createHmac } from "node:crypto";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Encr, Integ } from "../wire/iana.ts";
import { aeadSeal } from "./aead.ts";
import { CryptoError } from "./crypto-error.ts";
import { type CipherSpec, cipherSpecs, findCipher } from "./encr.ts";
import { findInteg, type IntegSpec, integSpecs } from "./integ.ts";
import { type RandomOctets, SkProtection } from "./sk-protection.ts";

interface Suite {
  readonly name: string;
  readonly cipher: CipherSpec;
  readonly integ: IntegSpec | undefined;
}

const suites: Suite[] = cipherSpecs.flatMap((cipher): Suite[] =>
  cipher.icvOctets > 0
    ? [{ name: cipher.keyword, cipher, integ: undefined }]
    : integSpecs.map((integ) => ({ name: `${cipher.keyword}-${integ.keyword}`, cipher, integ })),
);

const aad = new TextEncoder().encode("IKE header and the Encrypted payload's header");

describe.each(suites)("$name", (suite) => {
  it("opens what it sealed, in a body as long as announced", () => {
    const sender = protection(suite);
    const receiver = protection(suite);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 120 }), fc.uint8Array({ maxLength: 40 }), (plaintext, header) => {
        const body = sender.seal(header, plaintext);
        expect(body).toHaveLength(sender.bodyOctets(plaintext.length));
        expect(hex(receiver.open(header, body))).toBe(hex(plaintext));
      }),
      { numRuns: 40 },
    );
  });

  it("refuses every octet changed, in the header and in the body", () => {
    const body = protection(suite).seal(aad, new Uint8Array(20).fill(9));
    const receiver = protection(suite);
    for (let at = 0; at < body.length; at++) expect(failure(() => receiver.open(aad, flipped(body, at)))).toBe("integrity");
    for (let at = 0; at < aad.length; at++) expect(failure(() => receiver.open(flipped(aad, at), body))).toBe("integrity");
  });

  it("refuses every truncation with an error of ours", () => {
    const body = protection(suite).seal(aad, new Uint8Array(20).fill(9));
    const receiver = protection(suite);
    for (let length = 0; length < body.length; length++) expect(failure(() => receiver.open(aad, body.subarray(0, length)))).toMatch(/^(integrity|badLength)$/);
  });

  it("says the largest plaintext that fits", () => {
    const sender = protection(suite);
    for (let room = 60; room < 140; room++) {
      const fits = sender.capacity(room);
      expect(sender.bodyOctets(fits)).toBeLessThanOrEqual(room);
      expect(sender.bodyOctets(fits + 1)).toBeGreaterThan(room);
    }
  });

  it("takes keys of the right length only", () => {
    const { cipher, integ } = suite;
    const wrong = cipher.keyOctets + cipher.saltOctets - 1;
    expect(failure(() => new SkProtection(cipher, integ, new Uint8Array(wrong), new Uint8Array(integ?.keyOctets ?? 0), counting()))).toBe("badKey");
    if (integ === undefined) return;
    expect(failure(() => new SkProtection(cipher, integ, new Uint8Array(wrong + 1), new Uint8Array(0), counting()))).toBe("badKey");
    expect(failure(() => new SkProtection(cipher, undefined, new Uint8Array(wrong + 1), new Uint8Array(0), counting()))).toBe("badKey");
  });
});

describe("initialisation vectors", () => {
  it.each(suites.filter((suite) => suite.cipher.kind !== "cbc"))("$name never repeats one", (suite) => {
    const sender = protection(suite);
    const seen = new Set(Array.from({ length: 300 }, () => hex(sender.seal(aad, Uint8Array.of(1)).subarray(0, 8))));
    expect(seen.size).toBe(300);
  });

  it("takes each of CBC from the source of randomness", () => {
    const sender = protection(suiteOf(Encr.AES_CBC, 256, Integ.HMAC_SHA2_256_128));
    expect(hex(sender.seal(aad, Uint8Array.of(1)).subarray(0, 16))).toBe("01".repeat(16));
    expect(hex(sender.seal(aad, Uint8Array.of(1)).subarray(0, 16))).toBe("02".repeat(16));
  });
});

describe("the octets on the wire", () => {
  it("opens the message of RFC 7634 appendix B", () => {
    const key = octets("808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9fa0a1a2a3");
    const cipher = suiteOf(Encr.CHACHA20_POLY1305, undefined, Integ.NONE).cipher;
    const receiver = new SkProtection(cipher, undefined, key, new Uint8Array(0), counting());
    const header = octets("c0c1c2c3c4c5c6c7d0d1d2d3d4d5d6d72e202500000000090000004529000029");
    const body = octets("1011121314151617610394701f8d017f7c129248896b71bfe25236efd7cdc67066906315b2");
    expect(hex(receiver.open(header, body))).toBe("0000000c000040010000000a");
  });

  it("encrypts, then authenticates header, IV and ciphertext with CBC (RFC 7296 §3.14)", () => {
    const suite = suiteOf(Encr.AES_CBC, 128, Integ.HMAC_SHA2_256_128);
    const body = protection(suite).seal(aad, new TextEncoder().encode("inner payloads"));
    const icv = createHmac("sha256", new Uint8Array(32).fill(0x22)).update(aad).update(body.subarray(0, -16)).digest();
    expect(hex(body.subarray(-16))).toBe(hex(icv.subarray(0, 16)));
    const decipher = createDecipheriv("aes-128-cbc", new Uint8Array(16).fill(0x11), body.subarray(0, 16)).setAutoPadding(false);
    const content = Buffer.concat([decipher.update(body.subarray(16, -16)), decipher.final()]);
    expect(content.subarray(0, 14).toString()).toBe("inner payloads");
    expect(content[15]).toBe(1);
  });

  it("starts the block counter of CTR at one behind salt and IV (RFC 3686 §4)", () => {
    const suite = suiteOf(Encr.AES_CTR, 256, Integ.HMAC_SHA2_256_128);
    const body = protection(suite).seal(aad, new TextEncoder().encode("inner payloads"));
    const block = Buffer.concat([new Uint8Array(4).fill(0x11), body.subarray(0, 8), Uint8Array.of(0, 0, 0, 1)]);
    const decipher = createDecipheriv("aes-256-ctr", new Uint8Array(32).fill(0x11), block);
    expect(decipher.update(body.subarray(8, -16)).subarray(0, 14).toString()).toBe("inner payloads");
  });

  it("takes padding of any length and content, and none longer than the payload", () => {
    const suite = suiteOf(Encr.AES_GCM_16, 128, Integ.NONE);
    const key = new Uint8Array(16).fill(0x11);
    const iv = new Uint8Array(8).fill(5);
    const nonce = Uint8Array.of(0x11, 0x11, 0x11, 0x11, ...iv);
    const receiver = protection(suite);
    const padded = Uint8Array.of(1, 2, 3, 99, 98, 97, 3);
    expect(hex(receiver.open(aad, Uint8Array.of(...iv, ...aeadSeal(suite.cipher, key, nonce, aad, padded))))).toBe("010203");
    const endless = Uint8Array.of(1, 2, 3, 200);
    expect(failure(() => receiver.open(aad, Uint8Array.of(...iv, ...aeadSeal(suite.cipher, key, nonce, aad, endless))))).toBe("badLength");
  });
});

it("opens nothing after zeroize", () => {
  const suite = suiteOf(Encr.AES_GCM_16, 256, Integ.NONE);
  const body = protection(suite).seal(aad, Uint8Array.of(1));
  const receiver = protection(suite);
  receiver.zeroize();
  expect(failure(() => receiver.open(aad, body))).toBe("integrity");
});

function protection({ cipher, integ }: Suite): SkProtection {
  const encryptionKey = new Uint8Array(cipher.keyOctets + cipher.saltOctets).fill(0x11);
  return new SkProtection(cipher, integ, encryptionKey, new Uint8Array(integ?.keyOctets ?? 0).fill(0x22), counting());
}

/** Stands for randomness: 01 01 …, then 02 02 … */
function counting(): RandomOctets {
  let calls = 0;
  return { bytes: (length) => new Uint8Array(length).fill(++calls) };
}

function suiteOf(encr: number, keyLengthBits: number | undefined, integ: number): Suite {
  const cipher = findCipher(encr, keyLengthBits);
  if (cipher === undefined) throw new Error(`no cipher ${encr}`);
  return { name: cipher.keyword, cipher, integ: findInteg(integ) };
}

function flipped(bytes: Uint8Array, at: number): Uint8Array {
  const out = Uint8Array.from(bytes);
  out[at] = (out[at] ?? 0) ^ 0x01;
  return out;
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

function octets(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text, "hex"));
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}
