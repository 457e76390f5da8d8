import { hkdfSync } from "node:crypto";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Integ, Prf } from "../wire/iana.ts";
import { computeIcv, findInteg, integSpecs, verifyIcv } from "./integ.ts";
import { computePrf, findPrf, prfPlus, prfSpecs } from "./prf.ts";

/** RFC 4231 §4.2, §4.3 and §4.7. */
const vectors = [
  {
    name: "case 1",
    key: new Uint8Array(20).fill(0x0b),
    data: ascii("Hi There"),
    sha256: "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
    sha384: "afd03944d84895626b0825f4ab46907f15f9dadbe4101ec682aa034c7cebc59cfaea9ea9076ede7f4af152e8b2fa9cb6",
    sha512: "87aa7cdea5ef619d4ff0b4241a1d6cb02379f4e2ce4ec2787ad0b30545e17cdedaa833b7d6b8a702038b274eaea3f4e4be9d914eeb61f1702e696c203a126854",
  },
  {
    name: "case 2",
    key: ascii("Jefe"),
    data: ascii("what do ya want for nothing?"),
    sha256: "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
    sha384: "af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e8e2240ca5e69e2c78b3239ecfab21649",
    sha512: "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea2505549758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737",
  },
  {
    name: "case 6, a key longer than a block",
    key: new Uint8Array(131).fill(0xaa),
    data: ascii("Test Using Larger Than Block-Size Key - Hash Key First"),
    sha256: "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
    sha384: "4ece084485813e9088d2c63a041bc5b44f9ef1012a2b588f3cd11f05033ac4c60c2ef6ab4030fe8296248df163f44952",
    sha512: "80b24263c7c1a3ebb71493c1dd7be8b49b46d1f41b4aeec1121b013783f8f3526b56d037e05f2598bd0fd2215d6a1e5295e64f73f63f0aec8b915a985d786598",
  },
] as const;

describe.each(vectors)("HMAC of RFC 4231 $name", (vector) => {
  it.each(prfSpecs)("as $keyword in full", (spec) => {
    expect(hex(computePrf(spec, vector.key, vector.data))).toBe(vector[spec.hash]);
  });

  it.each(prfSpecs)("as $keyword over parts", (spec) => {
    expect(hex(computePrf(spec, vector.key, vector.data.subarray(0, 3), new Uint8Array(0), vector.data.subarray(3)))).toBe(vector[spec.hash]);
  });

  it.each(integSpecs)("as $keyword cut to half (RFC 4868 §2.3)", (spec) => {
    const icv = computeIcv(spec, vector.key, [vector.data]);
    expect(hex(icv)).toBe(vector[spec.hash].slice(0, vector[spec.hash].length / 2));
    expect(() => verifyIcv(spec, vector.key, [vector.data], icv)).not.toThrow();
  });
});

describe("verifyIcv", () => {
  it.each(integSpecs)("$keyword refuses every single bit changed, and every other length", (spec) => {
    const key = new Uint8Array(spec.keyOctets).fill(7);
    const icv = computeIcv(spec, key, [ascii("data")]);
    for (let bit = 0; bit < icv.length * 8; bit++) {
      const changed = Uint8Array.from(icv);
      changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      expect(() => verifyIcv(spec, key, [ascii("data")], changed)).toThrow(expect.objectContaining({ code: "integrity" }));
    }
    for (const length of [0, 1, icv.length - 1])
      expect(() => verifyIcv(spec, key, [ascii("data")], icv.subarray(0, length))).toThrow(expect.objectContaining({ code: "integrity" }));
    expect(() => verifyIcv(spec, key, [ascii("data")], Uint8Array.of(...icv, 0))).toThrow(expect.objectContaining({ code: "integrity" }));
  });
});

describe("prf+ (RFC 7296 §2.13)", () => {
  it("gives the output of RFC 5869 appendix A.1, whose expansion is the same", () => {
    const key = octets("077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5");
    expect(hex(prfPlus(required(Prf.HMAC_SHA2_256), key, octets("f0f1f2f3f4f5f6f7f8f9"), 42))).toBe(
      "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865",
    );
  });

  it.each(prfSpecs)("$keyword agrees with OpenSSL's HKDF for every length", (spec) => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 80 }), fc.uint8Array({ maxLength: 100 }), fc.integer({ min: 1, max: 600 }), (secret, seed, length) => {
        const salt = ascii("salt");
        // HKDF first makes its key with the hash; from there on the two are one function.
        const key = computePrf(spec, salt, secret);
        expect(hex(prfPlus(spec, key, seed, length))).toBe(hex(new Uint8Array(hkdfSync(spec.hash, secret, salt, seed, length))));
      }),
      { numRuns: 60 },
    );
  });

  it("stops at 255 blocks, where the counter octet ends", () => {
    const spec = required(Prf.HMAC_SHA2_256);
    expect(prfPlus(spec, ascii("key"), ascii("seed"), 255 * 32)).toHaveLength(8_160);
    expect(() => prfPlus(spec, ascii("key"), ascii("seed"), 255 * 32 + 1)).toThrow(RangeError);
  });
});

it("knows no SHA-1 and no MD5", () => {
  expect(findPrf(Prf.HMAC_SHA1)).toBeUndefined();
  expect(findPrf(1)).toBeUndefined();
  for (const integ of [Integ.HMAC_MD5_96, Integ.HMAC_SHA1_96, Integ.AES_CMAC_96]) expect(findInteg(integ)).toBeUndefined();
});

function required(prf: number) {
  const spec = findPrf(prf);
  if (spec === undefined) throw new Error(`no prf ${prf}`);
  return spec;
}

function ascii(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

function octets(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text, "hex"));
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}
