import { createPublicKey, createPrivateKey } from "node:crypto";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { OpenSsl } from "../testing/openssl.ts";
import { DerTag, derChildren, derElement, derElements } from "./der.ts";
import { type CredentialFile, CredentialFileError, readCredentialFile } from "./credential-file.ts";

/* Files that OpenSSL's own program writes, read by our reader. */

const openssl = new OpenSsl();
const password = 'Пароль & "quotes" ✓';

beforeAll(() => {
  authority("root", null);
  authority("middle", "root");
  certificate("own", "middle", ["EC", "-pkeyopt", "ec_paramgen_curve:P-256"]);
  openssl.write("chain.pem", pem("middle.pem") + pem("root.pem"));
  openssl.write("password", password);
});

afterAll(() => openssl.remove());

describe("a PKCS #12 file", () => {
  const forms: Readonly<Record<string, readonly string[]>> = {
    "as OpenSSL 3 writes it (AES-256, SHA-256)": [],
    "with AES-128 and a MAC of SHA-512": ["-keypbe", "AES-128-CBC", "-certpbe", "AES-128-CBC", "-macalg", "sha512"],
    "with triple DES and a MAC of SHA-1, as older systems write it": ["-keypbe", "PBE-SHA1-3DES", "-certpbe", "PBE-SHA1-3DES", "-macalg", "sha1"],
    "with its certificates in clear": ["-certpbe", "NONE"],
    "with a key in clear": ["-keypbe", "NONE", "-certpbe", "NONE"],
    "without a MAC": ["-nomac"],
    "with 600,000 rounds": ["-iter", "600000"],
  };
  for (const [name, options] of Object.entries(forms)) {
    it(`${name} gives the key, and the chain in order without its root`, () => {
      const read = readCredentialFile(exported(options), password, Date.now());
      expect(read.chain.map((one) => one.subjectText)).toEqual(["CN=own", "CN=middle"]);
      expect(read.roots.map((one) => one.subjectText)).toEqual(["CN=root"]);
      expect(read.missingIssuer).toBeNull();
      expect(read.keyName).toBe("ECDSA P-256");
      expectKeyFits(read);
    });
  }

  it("is not opened by another password, nor without one, and says so", () => {
    for (const options of Object.values(forms).slice(0, 3)) {
      expect(refusal(exported(options), "wrong").code).toBe("wrongPassword");
      expect(refusal(exported(options), "").code).toBe("passwordNeeded");
    }
  });

  it("that has no password is opened without one", () => {
    const read = readCredentialFile(exportedWith("pass:", []), "", Date.now());
    expect(read.keyName).toBe("ECDSA P-256");
  });

  it("with RC2 is refused with the way to export it again", () => {
    const old = exported(["-legacy", "-keypbe", "PBE-SHA1-RC2-40", "-certpbe", "PBE-SHA1-RC2-40"]);
    const { code, message } = refusal(old, password);
    expect(code).toBe("weakEncryption");
    expect(message).toContain("RC2-40");
    expect(message).toContain("openssl pkcs12 -export");
  });

  it("with so many locks that its reader would be busy for minutes is refused after a few", () => {
    const { code, message } = refusal(withPartsRepeated(exported(["-iter", "1000000"]), 20), password);
    expect(code).toBe("unsupported");
    expect(message).toContain("6,000,000 rounds");
  });

  it("in BER of indefinite lengths and octet strings in pieces is read as in DER", () => {
    const read = readCredentialFile(indefinite(exported([])), password, Date.now());
    expect(read.chain).toHaveLength(2);
  });

  it("never gives another key, and no error but ours, whatever octet is changed", () => {
    const good = exported([]);
    const key = readCredentialFile(good, password, null).privateKeyPem;
    fc.assert(
      fc.property(fc.nat(good.length - 1), fc.integer({ min: 1, max: 255 }), (at, change) => {
        const changed = good.slice();
        changed[at]! ^= change;
        try {
          expect(readCredentialFile(changed, password, null).privateKeyPem).toEqual(key);
        } catch (error) {
          if (!(error instanceof CredentialFileError)) throw error;
          expect(error.message).not.toContain(password);
        }
      }),
      { numRuns: 300 },
    );
  });
});

describe("a PEM file", () => {
  it("gives key and chain with a key of each form, locked or not, in any order", () => {
    openssl.run("ec", "-in", "own.key", "-out", "sec1.key");
    openssl.run("pkcs8", "-topk8", "-in", "own.key", "-passout", "file:password", "-out", "locked.key");
    for (const key of ["own.key", "sec1.key", "locked.key"]) {
      const read = readCredentialFile(octets(pem("root.pem") + pem(key) + pem("middle.pem") + pem("own.pem")), password, Date.now());
      expect(read.chain.map((one) => one.subjectText)).toEqual(["CN=own", "CN=middle"]);
      expectKeyFits(read);
    }
    expect(refusal(octets(pem("locked.key") + pem("own.pem")), "").code).toBe("passwordNeeded");
    expect(refusal(octets(pem("locked.key") + pem("own.pem")), "wrong").code).toBe("wrongPassword");
  });

  it("gives RSA from PKCS #1 and Ed25519", () => {
    certificate("rsa", "root", ["RSA", "-pkeyopt", "rsa_keygen_bits:2048"]);
    openssl.run("rsa", "-in", "rsa.key", "-traditional", "-out", "rsa1.key");
    expect(pem("rsa1.key")).toContain("BEGIN RSA PRIVATE KEY");
    expect(readCredentialFile(octets(pem("rsa1.key") + pem("rsa.pem")), "", Date.now()).keyName).toBe("RSA 2048");
    certificate("ed", "root", ["ED25519"]);
    expect(readCredentialFile(octets(pem("ed.key") + pem("ed.pem")), "", Date.now()).keyName).toBe("Ed25519");
  });
});

describe("what a file may lack", () => {
  it("is said in a sentence that names it and what to do", () => {
    certificate("other", "root", ["EC", "-pkeyopt", "ec_paramgen_curve:P-256"]);
    certificate("weak", "root", ["RSA", "-pkeyopt", "rsa_keygen_bits:1024"]);
    certificate("odd", "root", ["EC", "-pkeyopt", "ec_paramgen_curve:secp256k1"]);
    const cases: readonly (readonly [string, string, RegExp])[] = [
      ["noKey", pem("own.pem"), /no private key/],
      ["severalKeys", pem("own.pem") + pem("own.key") + pem("other.key"), /2 private keys/],
      ["noCertificate", pem("own.key"), /no certificate/],
      ["keyMismatch", pem("own.pem") + pem("other.key"), /CN=own/],
      ["missingIntermediate", pem("own.pem") + pem("own.key") + pem("root.pem"), /CN=middle/],
      ["weakKey", pem("weak.pem") + pem("weak.key"), /1024 bits/],
      ["unsupportedKey", pem("odd.pem") + pem("odd.key"), /secp256k1/],
      ["unknownForm", "hello", /neither PKCS #12 nor PEM/],
    ];
    for (const [code, text, sentence] of cases) {
      const error = refusal(octets(text), "");
      expect([error.code, error.message]).toEqual([code, expect.stringMatching(sentence)]);
    }
    expect(refusal(new Uint8Array(262_145), "").code).toBe("tooLarge");
  });

  it("tells a certificate before and after its dates, with the day", () => {
    const file = octets(pem("own.pem") + pem("own.key"));
    const { notAfter, notBefore } = readCredentialFile(file, "", null).chain[0]!;
    const at = (now: number) => refusal(file, "", now);
    expect(at(notAfter.getTime() + 1)).toMatchObject({ code: "expired", message: expect.stringContaining(notAfter.toISOString().slice(0, 10)) });
    expect(at(notBefore.getTime() - 1)).toMatchObject({ code: "notYetValid", message: expect.stringContaining(notBefore.toISOString().slice(0, 10)) });
  });

  it("names the issuer that a chain without its root ends under", () => {
    expect(readCredentialFile(octets(pem("own.pem") + pem("own.key")), "", Date.now()).missingIssuer).toBe("CN=middle");
  });
});

function authority(name: string, issuer: string | null): void {
  openssl.run("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", `${name}.key`);
  openssl.write("ca.ext", "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign\n");
  openssl.run("req", "-new", "-key", `${name}.key`, "-subj", `/CN=${name}`, "-out", `${name}.csr`);
  const sign = issuer === null ? ["-signkey", `${name}.key`] : ["-CA", `${issuer}.pem`, "-CAkey", `${issuer}.key`, "-CAcreateserial"];
  openssl.run("x509", "-req", "-in", `${name}.csr`, ...sign, "-days", "2", "-extfile", "ca.ext", "-out", `${name}.pem`);
}

function certificate(name: string, issuer: string, algorithm: readonly string[]): void {
  openssl.run("genpkey", "-algorithm", ...algorithm, "-out", `${name}.key`);
  openssl.run("req", "-new", "-key", `${name}.key`, "-subj", `/CN=${name}`, "-out", `${name}.csr`);
  openssl.run("x509", "-req", "-in", `${name}.csr`, "-CA", `${issuer}.pem`, "-CAkey", `${issuer}.key`, "-CAcreateserial", "-days", "1", "-out", `${name}.pem`);
}

function exported(options: readonly string[]): Uint8Array {
  return exportedWith("file:password", options);
}

function exportedWith(passout: string, options: readonly string[]): Uint8Array {
  openssl.run("pkcs12", "-export", "-inkey", "own.key", "-in", "own.pem", "-certfile", "chain.pem", "-passout", passout, ...options, "-out", "own.p12");
  return openssl.read("own.p12");
}

/** Its last part, which holds the encrypted key, so many times, and no MAC. */
function withPartsRepeated(der: Uint8Array, times: number): Uint8Array {
  const subject = { code: "badContainer", what: "the test's file" } as const;
  const [version, info] = derChildren(der, DerTag.SEQUENCE, subject);
  const [oid, explicit] = derElements(info!.content, subject);
  const part = derChildren(derElements(explicit!.content, subject)[0]!.content, DerTag.SEQUENCE, subject).at(-1);
  const safe = derElement(
    0x30,
    Array.from({ length: times }, () => part!.whole),
  );
  return derElement(0x30, [version!.whole, derElement(0x30, [oid!.whole, derElement(0xa0, [derElement(4, [safe])])])]);
}

/** The outer layers of indefinite length, and the octet string of the safe in pieces of 100 octets. */
function indefinite(der: Uint8Array): Uint8Array {
  const subject = { code: "badContainer", what: "the test's file" } as const;
  const [version, info, mac] = derChildren(der, DerTag.SEQUENCE, subject);
  const [oid, explicit] = derElements(info!.content, subject);
  const { content } = derElements(explicit!.content, subject)[0]!;
  const open = (tag: number, ...parts: readonly Uint8Array[]) => Buffer.concat([Buffer.of(tag, 0x80), ...parts, Buffer.of(0, 0)]);
  const pieces: Uint8Array[] = [];
  for (let at = 0; at < content.length; at += 100) pieces.push(Buffer.of(4, Math.min(100, content.length - at)), content.subarray(at, at + 100));
  const whole = open(0x30, version!.whole, open(0x30, oid!.whole, open(0xa0, open(0x24, ...pieces))), mac!.whole);
  return new Uint8Array(whole);
}

function expectKeyFits(read: CredentialFile): void {
  const key = createPrivateKey(read.privateKeyPem);
  expect(createPublicKey(key).equals(read.chain[0]!.publicKey)).toBe(true);
}

function refusal(file: Uint8Array, given: string, now: number | null = Date.now()): CredentialFileError {
  try {
    readCredentialFile(file, given, now);
  } catch (error) {
    if (error instanceof CredentialFileError) return error;
    throw error;
  }
  throw new Error("it was taken");
}

function pem(name: string): string {
  return Buffer.from(openssl.read(name)).toString("latin1");
}

function octets(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text, "latin1"));
}
