import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { makeCertificate, privateKeyOf } from "../testing/certificates.ts";
import { OpenSsl } from "../testing/openssl.ts";
import { AuthMethod, SignatureHash } from "../wire/iana.ts";
import { CryptoError } from "./crypto-error.ts";
import { signAuth, supportedSignatureHashes, verifyAuth } from "./signature.ts";

const { SHA1, SHA2_256, SHA2_384, SHA2_512, IDENTITY } = SignatureHash;
const signed = new TextEncoder().encode("first message, nonce, prf of the identity");

const kinds = [
  { kind: "rsa", generate: ["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"] },
  { kind: "p256", generate: ["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"] },
  { kind: "p384", generate: ["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"] },
  { kind: "p521", generate: ["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-521"] },
  { kind: "ed25519", generate: ["genpkey", "-algorithm", "ED25519"] },
  { kind: "ed448", generate: ["genpkey", "-algorithm", "ED448"] },
] as const;
type Kind = (typeof kinds)[number]["kind"];

const openssl = new OpenSsl();
const made = new Map<Kind, { readonly certificate: Uint8Array; readonly privateKey: Uint8Array }>();

beforeAll(() => {
  openssl.write("signed", signed);
  for (const { kind, generate } of kinds) {
    openssl.run(...generate, "-out", `${kind}.key`);
    openssl.run("req", "-x509", "-key", `${kind}.key`, "-subj", `/CN=${kind}`, "-out", `${kind}.pem`);
    made.set(kind, { certificate: openssl.certificate(`${kind}.pem`), privateKey: openssl.privateKey(`${kind}.key`) });
  }
});
afterAll(() => openssl.remove());

describe("method 14 (RFC 7427)", () => {
  it.each<[Kind, number[], string]>([
    ["rsa", [SHA2_256, SHA2_384, SHA2_512, IDENTITY], "sha256WithRSAEncryption"],
    ["rsa", [SHA1, SHA2_384], "sha384WithRSAEncryption"],
    ["rsa", [SHA2_512], "sha512WithRSAEncryption"],
    ["p256", [SHA2_512, SHA2_256], "ecdsa-with-SHA256"],
    ["p256", [SHA2_384], "ecdsa-with-SHA384"],
    ["p384", [SHA2_256, SHA2_384], "ecdsa-with-SHA384"],
    ["p521", [SHA2_256, SHA2_384, SHA2_512], "ecdsa-with-SHA512"],
    ["ed25519", [SHA2_256, IDENTITY], "ED25519"],
  ])("an %s key signs for a peer with hashes %j as %s", (kind, hashes, algorithm) => {
    const { certificate, privateKey } = keyOf(kind);
    const { method, data } = signAuth(privateKey, hashes, signed);
    expect(method).toBe(AuthMethod.DIGITAL_SIGNATURE);
    openssl.write("identifier", data.subarray(1, 1 + (data[0] ?? 0)));
    expect(openssl.run("asn1parse", "-inform", "DER", "-in", "identifier").toString().toLowerCase()).toContain(`:${algorithm.toLowerCase()}\n`);
    expect(failure(() => verifyAuth(method, data, certificate, signed, hashes))).toBe("none");
  });

  it.each<[Kind, string, string]>([
    ["rsa", "sha256", "300d06092a864886f70d01010b0500"],
    ["rsa", "sha384", "300d06092a864886f70d01010c0500"],
    ["rsa", "sha512", "300d06092a864886f70d01010d0500"],
    ["p256", "sha256", "300a06082a8648ce3d040302"],
    ["p384", "sha384", "300a06082a8648ce3d040303"],
    ["p521", "sha512", "300a06082a8648ce3d040304"],
  ])("takes what OpenSSL signed with an %s key and %s", (kind, hash, identifier) => {
    const signature = openssl.run("dgst", `-${hash}`, "-sign", `${kind}.key`, "signed");
    expect(failure(() => verifyAuth(14, authData(identifier, signature), keyOf(kind).certificate, signed, [SHA2_256]))).toBe("none");
  });

  it.each([
    ["sha256", 32],
    ["sha384", 48],
    ["sha512", 64],
  ])("takes RSASSA-PSS with %s, under the identifier that OpenSSL gives it", (hash, salt) => {
    const pss = ["-sigopt", "rsa_padding_mode:pss", "-sigopt", `rsa_pss_saltlen:${salt}`];
    openssl.run("req", "-x509", `-${hash}`, "-key", "rsa.key", ...pss, "-subj", "/CN=pss", "-out", "pss.pem");
    // Certificate ::= SEQUENCE { tbsCertificate, signatureAlgorithm, signature }
    const lines = openssl.run("asn1parse", "-in", "pss.pem").toString().split("\n");
    const identifierLine = lines.filter((line) => line.includes("d=1")).at(1) ?? "";
    const [, at = "", header = "", length = ""] = /^\s*(\d+):d=1\s+hl=(\d+) l=\s*(\d+)/.exec(identifierLine) ?? [];
    const identifier = openssl.certificate("pss.pem").subarray(Number(at), Number(at) + Number(header) + Number(length));
    const signature = openssl.run("dgst", `-${hash}`, ...pss, "-sign", "rsa.key", "signed");
    const data = authData(Buffer.from(identifier).toString("hex"), signature);
    expect(failure(() => verifyAuth(14, data, keyOf("rsa").certificate, signed, [SHA2_256]))).toBe("none");
    expect(failure(() => verifyAuth(14, data, keyOf("rsa").certificate, flipped(signed, 3), [SHA2_256]))).toBe("badSignature");
  });

  it.each<[Kind, number[]]>([
    ["rsa", [SHA1]],
    ["rsa", []],
    ["p384", [SHA2_256]],
    ["p521", [SHA2_256, SHA2_384]],
    ["ed25519", [SHA2_256]],
    ["ed448", [SHA2_256, IDENTITY]],
  ])("an %s key has nothing for a peer with hashes %j", (kind, hashes) => {
    expect(failure(() => signAuth(keyOf(kind).privateKey, hashes, signed))).toBe("unsupported");
  });

  it("refuses SHA-1, and algorithms it does not know", () => {
    const sha1 = authData("300d06092a864886f70d0101050500", openssl.run("dgst", "-sha1", "-sign", "rsa.key", "signed"));
    expect(failure(() => verifyAuth(14, sha1, keyOf("rsa").certificate, signed, [SHA2_256]))).toBe("unsupported");
    for (const data of [new Uint8Array(0), Uint8Array.of(0), Uint8Array.of(255, 1, 2), Uint8Array.of(5, 0x30, 3, 6, 1, 1, 9)])
      expect(failure(() => verifyAuth(14, data, keyOf("rsa").certificate, signed, [SHA2_256]))).toBe("unsupported");
  });

  it("refuses a signature of one kind under the name of another", () => {
    const { data } = signAuth(keyOf("p256").privateKey, supportedSignatureHashes, signed);
    expect(failure(() => verifyAuth(14, data, keyOf("rsa").certificate, signed, [SHA2_256]))).toBe("badSignature");
    expect(failure(() => verifyAuth(14, data, keyOf("ed25519").certificate, signed, [SHA2_256]))).toBe("badSignature");
  });
});

describe("the older methods", () => {
  it.each<[Kind, number]>([
    ["rsa", 1],
    ["p256", 9],
    ["p384", 10],
    ["p521", 11],
  ])("an %s key signs with method %i for a peer without RFC 7427", (kind, number) => {
    const { certificate, privateKey } = keyOf(kind);
    const { method, data } = signAuth(privateKey, null, signed);
    expect(method).toBe(number);
    expect(failure(() => verifyAuth(method, data, certificate, signed, null))).toBe("none");
    expect(failure(() => verifyAuth(method, flipped(data, 9), certificate, signed, null))).toBe("badSignature");
    for (const other of [1, 9, 10, 11].filter((one) => one !== number))
      expect(failure(() => verifyAuth(other, data, certificate, signed, null))).toBe("unsupported");
  });

  it("does not take SHA-1 from a peer that knows better", () => {
    const { data } = signAuth(keyOf("rsa").privateKey, null, signed);
    expect(failure(() => verifyAuth(1, data, keyOf("rsa").certificate, signed, [SHA2_256]))).toBe("unsupported");
  });

  it("puts r and s side by side (RFC 4754 §7)", () => {
    expect([...(["p256", "p384", "p521"] as const)].map((kind) => signAuth(keyOf(kind).privateKey, null, signed).data.length)).toEqual([64, 96, 132]);
  });

  it("takes the signature of RFC 4754 §8.1", async () => {
    const jwk = {
      kty: "EC",
      crv: "P-256",
      x: base64url("2442A5CC0ECD015FA3CA31DC8E2BBC70BF42D60CBCA20085E0822CB04235E970"),
      y: base64url("6FC98BD7E50211A4A27102FA3549DF79EBCB4BF246B80945CDDFE7D509BBFD7D"),
    };
    const publicKey = await crypto.subtle.importKey("jwk", jwk, { name: "ECDSA", namedCurve: "P-256" }, true, ["verify"]);
    const { der } = await makeCertificate({ name: "CN=RFC 4754", publicKey });
    const signature = octets(
      "CB28E0999B9C7715FD0A80D8E47A77079716CBBF917DD72E97566EA1C066957C86FA3BB4E26CAD5BF90B7F81899256CE7594BB1EA0C89212748BFF3B3D5B0315",
    );
    expect(failure(() => verifyAuth(9, signature, der, new TextEncoder().encode("abc"), null))).toBe("none");
  });

  it.each<Kind>(["ed25519", "ed448"])("has none for %s", (kind) => {
    expect(failure(() => signAuth(keyOf(kind).privateKey, null, signed))).toBe("unsupported");
  });
});

describe("hostile input", () => {
  it.each<Kind>(["rsa", "p256", "p384", "p521", "ed25519"])("never passes with an octet of an %s signature or of the signed text changed", (kind) => {
    const { certificate, privateKey } = keyOf(kind);
    const { method, data } = signAuth(privateKey, supportedSignatureHashes, signed);
    for (let at = 0; at < data.length; at++)
      expect(failure(() => verifyAuth(method, flipped(data, at), certificate, signed, [SHA2_256]))).toMatch(/^(badSignature|unsupported)$/);
    for (let at = 0; at < signed.length; at++)
      expect(failure(() => verifyAuth(method, data, certificate, flipped(signed, at), [SHA2_256]))).toBe("badSignature");
    for (let length = 0; length < data.length; length++)
      expect(failure(() => verifyAuth(method, data.subarray(0, length), certificate, signed, [SHA2_256]))).toMatch(/^(badSignature|unsupported)$/);
  });

  it.each<Kind>(["rsa", "p256", "p521", "ed25519"])("of any octets and method is refused with an error of ours, %s certificate", (kind) => {
    const methods = fc.constantFrom(0, 1, 2, 9, 10, 11, 13, 14, 255);
    fc.assert(
      fc.property(methods, fc.uint8Array({ maxLength: 300 }), (method, data) => {
        expect(failure(() => verifyAuth(method, data, keyOf(kind).certificate, signed, null))).toMatch(/^(badSignature|unsupported)$/);
      }),
      { numRuns: 200 },
    );
  });

  it("that is no certificate or no key is called so", () => {
    expect(failure(() => verifyAuth(14, Uint8Array.of(1), Uint8Array.of(0x30, 0), signed, null))).toBe("badCertificate");
    expect(failure(() => signAuth(Uint8Array.of(0x30, 0), null, signed))).toBe("badKey");
  });

  it("of another holder's key is refused", async () => {
    const one = await makeCertificate({ name: "CN=one" });
    const other = await makeCertificate({ name: "CN=other" });
    const { method, data } = signAuth(await privateKeyOf(other), supportedSignatureHashes, signed);
    expect(failure(() => verifyAuth(method, data, one.der, signed, [SHA2_256]))).toBe("badSignature");
  });
});

function keyOf(kind: Kind) {
  const found = made.get(kind);
  if (found === undefined) throw new Error(`no ${kind} key`);
  return found;
}

/** AUTH data of method 14: length of the AlgorithmIdentifier, the AlgorithmIdentifier, the signature. */
function authData(identifierHex: string, signature: Uint8Array): Uint8Array {
  const identifier = octets(identifierHex);
  return Uint8Array.of(identifier.length, ...identifier, ...signature);
}

function flipped(bytes: Uint8Array, at: number): Uint8Array {
  const out = Uint8Array.from(bytes);
  out[at] = (out[at] ?? 0) ^ 0x01;
  return out;
}

function base64url(text: string): string {
  return Buffer.from(text, "hex").toString("base64url");
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
