import { createECDH, createPrivateKey, createPublicKey, diffieHellman } from "node:crypto";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Kex } from "../wire/iana.ts";
import { CryptoError } from "./crypto-error.ts";
import { answerKeyExchange, findKex, kexSpecs, startKeyExchange } from "./key-exchange.ts";

/** Octets of the initiator's value, the responder's, and the secret: RFC 3526, 5903, 8031 and FIPS 203 table 3. */
const sizes = new Map<number, readonly [number, number, number]>([
  [Kex.MODP_2048, [256, 256, 256]],
  [Kex.MODP_3072, [384, 384, 384]],
  [Kex.MODP_4096, [512, 512, 512]],
  [Kex.MODP_6144, [768, 768, 768]],
  [Kex.MODP_8192, [1024, 1024, 1024]],
  [Kex.ECP_256, [64, 64, 32]],
  [Kex.ECP_384, [96, 96, 48]],
  [Kex.ECP_521, [132, 132, 66]],
  [Kex.X25519, [32, 32, 32]],
  [Kex.X448, [56, 56, 56]],
  [Kex.ML_KEM_512, [800, 768, 32]],
  [Kex.ML_KEM_768, [1184, 1088, 32]],
  [Kex.ML_KEM_1024, [1568, 1568, 32]],
]);

describe.each(kexSpecs)("$keyword", ({ method }) => {
  const [requestOctets = 0, answerOctets = 0, secretOctets = 0] = sizes.get(method) ?? [];

  it("gives both sides one secret, in values of the registered size", () => {
    const own = startKeyExchange(method);
    const answer = answerKeyExchange(method, own.publicData);
    expect([own.publicData.length, answer.publicData.length, answer.sharedSecret.length]).toEqual([requestOctets, answerOctets, secretOctets]);
    expect(hex(own.computeSharedSecret(answer.publicData))).toBe(hex(answer.sharedSecret));
  });

  it("makes a new value every time", () => {
    expect(hex(startKeyExchange(method).publicData)).not.toBe(hex(startKeyExchange(method).publicData));
  });

  it("refuses values of any other length", () => {
    const own = startKeyExchange(method);
    for (const wrong of [0, 1, answerOctets - 1, answerOctets + 1, 65_000])
      expect(failure(() => own.computeSharedSecret(new Uint8Array(wrong).fill(2)))).toBe("badLength");
    for (const wrong of [0, 1, requestOctets - 1, requestOctets + 1, 65_000])
      expect(failure(() => answerKeyExchange(method, new Uint8Array(wrong).fill(2)))).toBe("badLength");
  });

  it("meets hostile values with a secret or an error of ours", () => {
    const own = startKeyExchange(method);
    const anyOctets = (length: number) =>
      fc.oneof(
        fc.uint8Array({ minLength: length, maxLength: length }),
        fc.nat(255).map((octet) => new Uint8Array(length).fill(octet)),
      );
    fc.assert(
      fc.property(anyOctets(requestOctets), anyOctets(answerOctets), (request, answer) => {
        expect(failure(() => answerKeyExchange(method, request))).toMatch(/^(none|badPeerValue)$/);
        expect(failure(() => own.computeSharedSecret(answer))).toMatch(/^(none|badPeerValue)$/);
      }),
      { numRuns: requestOctets > 256 ? 5 : 25 },
    );
  });
});

it("knows no other method", () => {
  expect(sizes.size).toBe(kexSpecs.length);
  expect(findKex(2)).toBeUndefined();
  expect(failure(() => startKeyExchange(2))).toBe("unsupported");
  expect(failure(() => answerKeyExchange(2, new Uint8Array(128)))).toBe("unsupported");
});

describe("MODP groups of RFC 3526", () => {
  // "2^n - 2^(n-64) - 1 + 2^64 * ([2^(n-130) pi] + c)", generator 2.
  const groups = [
    { method: Kex.MODP_2048, bits: 2048n, constant: 124476n },
    { method: Kex.MODP_3072, bits: 3072n, constant: 1690314n },
    { method: Kex.MODP_4096, bits: 4096n, constant: 240904n },
    { method: Kex.MODP_6144, bits: 6144n, constant: 929484n },
    { method: Kex.MODP_8192, bits: 8192n, constant: 4743158n },
  ];

  it.each(groups)("$method agrees with arithmetic on the published prime", ({ method, bits, constant }) => {
    const prime = primeOf(bits, constant);
    const octetCount = Number(bits / 8n);
    const secret = 0x1234567890abcdef1234567890abcdefn;
    const own = startKeyExchange(method);
    const computed = own.computeSharedSecret(octetsOf(power(2n, secret, prime), octetCount));
    expect(hex(computed)).toBe(hex(octetsOf(power(numberOf(own.publicData), secret, prime), octetCount)));
  });

  it.each(groups)("$method refuses 0, 1, p - 1, p and more (RFC 6989 §2.1)", ({ method, bits, constant }) => {
    const prime = primeOf(bits, constant);
    const own = startKeyExchange(method);
    for (const value of [0n, 1n, prime - 1n, prime, prime + 1n, (1n << bits) - 1n])
      expect(failure(() => own.computeSharedSecret(octetsOf(value, Number(bits / 8n))))).toBe("badPeerValue");
    expect(failure(() => own.computeSharedSecret(octetsOf(prime - 2n, Number(bits / 8n))))).toBe("none");
  });

  it("keeps the leading zeros of values and secrets (RFC 7296 §2.14)", () => {
    // Against the generator as the peer's value the secret is our own public value.
    const two = octetsOf(2n, 256);
    let short = 0;
    for (let tries = 0; tries < 3_000 && short === 0; tries++) {
      const own = startKeyExchange(Kex.MODP_2048);
      if (own.publicData[0] !== 0) continue;
      short++;
      expect(own.publicData).toHaveLength(256);
      expect(hex(own.computeSharedSecret(two))).toBe(hex(own.publicData));
    }
    expect(short).toBe(1);
  });
});

describe("ECP groups of RFC 5903", () => {
  // §8: the initiator's private value and the public value it sends.
  const peers = [
    {
      method: Kex.ECP_256,
      curve: "prime256v1",
      privateValue: "C88F01F510D9AC3F70A292DAA2316DE544E9AAB8AFE84049C62A9C57862D1433",
      publicValue: "DAD0B65394221CF9B051E1FECA5787D098DFE637FC90B9EF945D0C37725811805271A0461CDB8252D61F1C456FA3E59AB1F45B33ACCF5F58389E0577B8990BB3",
    },
    {
      method: Kex.ECP_384,
      curve: "secp384r1",
      privateValue: "099F3C7034D4A2C699884D73A375A67F7624EF7C6B3C0F160647B67414DCE655E35B538041E649EE3FAEF896783AB194",
      publicValue:
        "667842D7D180AC2CDE6F74F37551F55755C7645C20EF73E31634FE72B4C55EE6DE3AC808ACB4BDB4C88732AEE95F41AA9482ED1FC0EEB9CAFC4984625CCFC23F65032149E0E144ADA024181535A0F38EEB9FCFF3C2C947DAE69B4C634573A81C",
    },
    {
      method: Kex.ECP_521,
      curve: "secp521r1",
      privateValue: "0037ADE9319A89F4DABDB3EF411AACCCA5123C61ACAB57B5393DCE47608172A095AA85A30FE1C2952C6771D937BA9777F5957B2639BAB072462F68C27A57382D4A52",
      publicValue:
        "0015417E84DBF28C0AD3C278713349DC7DF153C897A1891BD98BAB4357C9ECBEE1E3BF42E00B8E380AEAE57C2D107564941885942AF5A7F4601723C4195D176CED3E017CAE20B6641D2EEB695786D8C946146239D099E18E1D5A514C739D7CB4A10AD8A788015AC405D7799DC75E7B7D5B6CF2261A6A7F1507438BF01BEB6CA3926F9582",
    },
  ];

  it.each(peers)("$curve agrees with the initiator of the RFC", ({ method, curve, privateValue, publicValue }) => {
    const peer = createECDH(curve);
    peer.setPrivateKey(privateValue, "hex");
    expect(peer.getPublicKey("hex")).toBe(`04${publicValue.toLowerCase()}`);
    const answer = answerKeyExchange(method, octets(publicValue));
    const expected = peer.computeSecret(Buffer.concat([Uint8Array.of(4), answer.publicData]));
    expect(hex(answer.sharedSecret)).toBe(expected.toString("hex"));
  });

  it.each(peers)("$curve refuses points that are not on it, and the one at infinity", ({ method, publicValue }) => {
    const point = octets(publicValue);
    for (const at of [0, 5, point.length - 1]) expect(failure(() => answerKeyExchange(method, flipped(point, at)))).toBe("badPeerValue");
    expect(failure(() => answerKeyExchange(method, new Uint8Array(point.length)))).toBe("badPeerValue");
    expect(failure(() => answerKeyExchange(method, new Uint8Array(point.length).fill(0xff)))).toBe("badPeerValue");
  });

  it("keeps the leading zeros of the secret", () => {
    // Against the base point the secret is the x of our own public value.
    const base = octets("6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c2964fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5");
    let short = 0;
    for (let tries = 0; tries < 5_000 && short === 0; tries++) {
      const own = startKeyExchange(Kex.ECP_256);
      if (own.publicData[0] !== 0) continue;
      short++;
      expect(hex(own.computeSharedSecret(base))).toBe(hex(own.publicData.subarray(0, 32)));
    }
    expect(short).toBe(1);
  });
});

describe("X25519 and X448", () => {
  // RFC 7748 §6.1 and §6.2: Alice.
  const peers = [
    {
      method: Kex.X25519,
      prefix: "302e020100300506032b656e04220420",
      privateValue: "77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a",
      publicValue: "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a",
    },
    {
      method: Kex.X448,
      prefix: "3046020100300506032b656f043a0438",
      privateValue: "9a8f4925d1519f5775cf46b04b5800d4ee9ee8bae8bc5565d498c28dd9c9baf574a9419744897391006382a6f127ab1d9ac2d8c0a598726b",
      publicValue: "9b08f7cc31b7e3e67d22d5aea121074a273bd2b83de09c63faa73d2c22c5d9bbc836647241d953d40c5b12da88120d53177f80e532c41fa0",
    },
  ];

  it.each(peers)("method $method agrees with Alice of RFC 7748", ({ method, prefix, privateValue, publicValue }) => {
    const privateKey = createPrivateKey({ key: Buffer.from(prefix + privateValue, "hex"), format: "der", type: "pkcs8" });
    const spki = createPublicKey(privateKey).export({ format: "der", type: "spki" });
    expect(spki.subarray(-publicValue.length / 2).toString("hex")).toBe(publicValue);
    const answer = answerKeyExchange(method, octets(publicValue));
    const theirs = createPublicKey({
      key: Buffer.concat([spki.subarray(0, spki.length - publicValue.length / 2), answer.publicData]),
      format: "der",
      type: "spki",
    });
    expect(hex(answer.sharedSecret)).toBe(diffieHellman({ privateKey, publicKey: theirs }).toString("hex"));
  });

  // Points of order 1, 2, 4 and 8 on Curve25519 and those congruent to them; of order 1, 2 and 4 on Curve448.
  const p25519 = (1n << 255n) - 19n;
  const p448 = (1n << 448n) - (1n << 224n) - 1n;
  const lowOrder: (readonly [number, bigint, number])[] = [
    [Kex.X25519, 0n, 32],
    [Kex.X25519, 1n, 32],
    [Kex.X25519, 325606250916557431795983626356110631294008115727848805560023387167927233504n, 32],
    [Kex.X25519, 39382357235489614581723060781553021112529911719440698176882885853963445705823n, 32],
    [Kex.X25519, p25519 - 1n, 32],
    [Kex.X25519, p25519, 32],
    [Kex.X25519, p25519 + 1n, 32],
    [Kex.X448, 0n, 56],
    [Kex.X448, 1n, 56],
    [Kex.X448, p448 - 1n, 56],
    [Kex.X448, p448, 56],
    [Kex.X448, p448 + 1n, 56],
  ];

  it.each(lowOrder)("method %i refuses the point of low order %s, whose secret is zero (RFC 8031 §2.2)", (method, value, length) => {
    expect(failure(() => answerKeyExchange(method, octetsOf(value, length).reverse()))).toBe("badPeerValue");
  });
});

describe.each([Kex.ML_KEM_512, Kex.ML_KEM_768, Kex.ML_KEM_1024])("ML-KEM method %i", (method) => {
  it("refuses an encapsulation key with a coefficient that is not reduced (FIPS 203 §7.2)", () => {
    const key = Uint8Array.from(startKeyExchange(method).publicData);
    key.fill(0xff, 0, 3);
    expect(failure(() => answerKeyExchange(method, key))).toBe("badPeerValue");
  });

  it("gives another secret for a changed ciphertext, without saying so (FIPS 203 §6.3)", () => {
    const own = startKeyExchange(method);
    const answer = answerKeyExchange(method, own.publicData);
    expect(hex(own.computeSharedSecret(flipped(answer.publicData, 7)))).not.toBe(hex(answer.sharedSecret));
  });
});

function primeOf(bits: bigint, constant: bigint): bigint {
  return (1n << bits) - (1n << (bits - 64n)) - 1n + (1n << 64n) * (piTimes(bits - 130n) + constant);
}

/** The integer part of 2^bits * pi, by Machin's formula. */
function piTimes(bits: bigint): bigint {
  const one = 1n << (bits + 64n);
  const arctan = (inverse: bigint): bigint => {
    let sum = 0n;
    let term = one / inverse;
    for (let n = 1n; term !== 0n; n += 2n, term /= inverse * inverse) sum += n % 4n === 1n ? term / n : -(term / n);
    return sum;
  };
  return (4n * (4n * arctan(5n) - arctan(239n))) >> 64n;
}

function power(base: bigint, exponent: bigint, modulus: bigint): bigint {
  let result = 1n;
  for (let square = base % modulus, rest = exponent; rest > 0n; rest >>= 1n, square = (square * square) % modulus)
    if (rest & 1n) result = (result * square) % modulus;
  return result;
}

function octetsOf(value: bigint, length: number): Uint8Array {
  return octets(value.toString(16).padStart(length * 2, "0"));
}

function numberOf(bytes: Uint8Array): bigint {
  return BigInt(`0x${hex(bytes)}`);
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
