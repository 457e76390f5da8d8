import { getCipherInfo } from "node:crypto";
import { describe, expect, it } from "vitest";
import { Encr } from "../wire/iana.ts";
import { aeadOpen, aeadSeal } from "./aead.ts";
import { cipherForKey, cipherSpecs, findCipher } from "./encr.ts";

describe.each(cipherSpecs)("$keyword", (spec) => {
  it("has the sizes that OpenSSL gives it", () => {
    const info = getCipherInfo(spec.opensslName, { keyLength: spec.keyOctets });
    expect(info?.keyLength).toBe(spec.keyOctets);
    expect(info?.mode === "cbc" ? info.blockSize : 1).toBe(spec.blockOctets);
    if (spec.keyLengthBits !== undefined) expect(spec.keyOctets * 8).toBe(spec.keyLengthBits);
  });

  it("takes a nonce of salt and explicit IV", () => {
    const counter = spec.kind === "ctr" ? 4 : 0;
    const nonce = spec.saltOctets + spec.ivOctets + counter;
    expect(getCipherInfo(spec.opensslName, { keyLength: spec.keyOctets, ivLength: nonce })?.ivLength).toBe(nonce);
  });

  it("is found by id and key length, and by the key itself", () => {
    expect(findCipher(spec.encr, spec.keyLengthBits)).toBe(spec);
    expect(cipherForKey(spec.encr, spec.keyOctets)).toBe(spec);
  });
});

describe("the table", () => {
  it("has each keyword once", () => {
    expect(new Set(cipherSpecs.map((spec) => spec.keyword)).size).toBe(cipherSpecs.length);
  });

  it("takes no AES without its key length attribute, and no ChaCha20 with one (RFC 7296 §3.3.5, RFC 7634 §3)", () => {
    expect(findCipher(Encr.AES_GCM_16, undefined)).toBeUndefined();
    expect(findCipher(Encr.CHACHA20_POLY1305, 256)).toBeUndefined();
    expect(findCipher(Encr.AES_CBC, 64)).toBeUndefined();
  });

  it("has neither 3DES nor NULL", () => {
    expect(cipherSpecs.filter((spec) => spec.encr === Encr.DES3 || spec.encr === Encr.NULL)).toEqual([]);
  });
});

describe("ChaCha20-Poly1305 of RFC 7634", () => {
  const spec = findCipher(Encr.CHACHA20_POLY1305, undefined);
  if (spec === undefined) throw new Error("no ChaCha20-Poly1305");
  const key = octets("808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f");
  const nonce = octets("a0a1a2a3 1011121314151617");

  it.each([
    {
      name: "appendix A (ESP)",
      aad: "0102030400000005",
      plaintext:
        "45000054a6f200004001e778c6336405c000020508005b7a3a080000553bec100007362708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f303132333435363701020204",
      sealed:
        "24039428b97f417e3c13753a4f05087b67c352e6a7fab1b982d466ef407ae5c614ee8099d52844eb61aa95dfab4c02f72aa71e7c4c4f64c9befe2facc638e8f3cbec163fac469b502773f6fb94e664da9165b82829f641e076aaa8266b7fb0f7b11b369907e1ad43",
    },
    {
      name: "appendix B (IKE)",
      aad: "c0c1c2c3c4c5c6c7d0d1d2d3d4d5d6d72e202500000000090000004529000029",
      plaintext: "0000000c000040010000000a00",
      sealed: "610394701f8d017f7c12924889 6b71bfe25236efd7cdc67066906315b2",
    },
  ])("$name seals and opens to the octet", ({ aad, plaintext, sealed }) => {
    expect(hex(aeadSeal(spec, key, nonce, octets(aad), octets(plaintext)))).toBe(hex(octets(sealed)));
    expect(hex(aeadOpen(spec, key, nonce, octets(aad), octets(sealed)))).toBe(plaintext);
  });
});

function octets(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text.replaceAll(" ", ""), "hex"));
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}
