import fc from "fast-check";
import { afterAll, describe, expect, it } from "vitest";
import { OpenSsl } from "../testing/openssl.ts";
import { readCertificate } from "./certificate.ts";
import { CryptoError } from "./crypto-error.ts";
import { dnEqual, formatDn, parseDn } from "./dn.ts";

const openssl = new OpenSsl();
afterAll(() => openssl.remove());

const keywords = ["CN", "SN", "serialNumber", "C", "L", "ST", "street", "O", "OU", "title", "GN", "E", "DC", "UID"] as const;

describe("parseDn", () => {
  it("makes the DER that OpenSSL makes", () => {
    openssl.run("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", "key.pem");
    const subject = "/C=NL/ST=Noord-Holland/L=Zürich/O=Example, Inc. + Sons/OU=VPN/serialNumber=17/DC=example/UID=gw/emailAddress=a@example.org/CN=amsterdam";
    openssl.run("req", "-x509", "-utf8", "-key", "key.pem", "-subj", subject.replace(" + ", " \\+ "), "-out", "name.pem");
    const der = readCertificate(openssl.certificate("name.pem")).subject;
    const text =
      "C=NL, ST=Noord-Holland, L=Zürich, O=Example\\, Inc. + Sons, OU=VPN, serialNumber=17, DC=example, UID=gw, emailAddress=a@example.org, CN=amsterdam";
    expect(hex(parseDn(text))).toBe(hex(der));
    expect(hex(parseDn(formatDn(der)))).toBe(hex(der));
  });

  it("joins the parts of one relative name with a plus, sorted as DER wants them", () => {
    openssl.run("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", "multi.key");
    openssl.run("req", "-x509", "-utf8", "-multivalue-rdn", "-key", "multi.key", "-subj", "/O=Example/CN=amsterdam+serialNumber=4", "-out", "multi.pem");
    const der = readCertificate(openssl.certificate("multi.pem")).subject;
    expect(hex(parseDn("O=Example, CN=amsterdam+serialNumber=4"))).toBe(hex(der));
    expect(hex(parseDn("O=Example, serialNumber=4 + CN=amsterdam"))).toBe(hex(der));
    expect(dnEqual(parseDn("O=Example, CN=amsterdam, serialNumber=4"), der)).toBe(false);
  });

  it("takes hexadecimal pairs as octets (RFC 4514 §2.4)", () => {
    expect(hex(parseDn("O=Z\\C3\\BCrich\\2C AG"))).toBe(hex(parseDn("O=Zürich\\, AG")));
  });

  it("writes the string type that can hold the characters", () => {
    expect(hex(parseDn("C=NL"))).toContain("13024e4c");
    expect(hex(parseDn("C=é"))).toContain("0c02c3a9");
    expect(hex(parseDn("serialNumber=a_b"))).toContain("0c03615f62");
  });

  it.each(["", "CN", "CN=", "=x", "XX=y", "CN=a,", "CN=a,,O=b", "CN=   ", "O=\\FF"])("refuses %j and says which part", (text) => {
    expect(() => parseDn(text)).toThrow(
      expect.objectContaining({ code: "badName", message: expect.stringContaining("is not a part of a distinguished name") }),
    );
  });

  it("reads back what formatDn wrote", () => {
    const value = fc.string({ unit: "binary", minLength: 1, maxLength: 20 }).filter((text) => text.trim() === text && text.isWellFormed());
    const name = fc.array(fc.array(fc.tuple(fc.constantFrom(...keywords), value), { minLength: 1, maxLength: 3 }), { minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(name, (parts) => {
        const escaped = parts.map((pairs) => pairs.map(([keyword, text]) => `${keyword}=${text.replace(/[,+\\]/g, "\\$&")}`).join("+")).join(", ");
        const der = parseDn(escaped);
        expect(hex(parseDn(formatDn(der)))).toBe(hex(der));
      }),
    );
  });

  it("fails on any other text with an error of ours", () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom("C", "N", "=", ",", "+", "\\", " ", "f", "0", "é") }), (text) => void failure(() => parseDn(text))),
    );
  });
});

describe("formatDn", () => {
  it("lets no control character through", () => {
    expect(formatDn(parseDn("CN=a\\1B[2Jb\\0Ac\\E2\\80\\AEd"))).toBe("CN=a\\1b[2Jb\\0ac\\e2\\80\\aed");
  });

  it("shows what is no text in hexadecimal, and unknown types by their identifier", () => {
    expect(formatDn(octets("300f310d300b0603550403 0c04fffe6161"))).toBe("CN=#0c04fffe6161");
    expect(formatDn(octets("300c310a300806032a0304 020105"))).toBe("OID.2a0304=#020105");
  });
});

describe("dnEqual", () => {
  it.each([
    ["the type of string", "300d310b3009060355040a 13024142", "300d310b3009060355040a 0c024142"],
    ["the two-octet string type", "300f310d300b060355040a 1e0400410042", "300d310b3009060355040a 0c024142"],
    ["case", "300d310b3009060355040a 0c024142", "300d310b3009060355040a 0c026142"],
    ["spaces at the ends", "300e310c300a060355040a 0c03414220", "300d310b3009060355040a 0c024142"],
  ])("does not look at %s", (_what, a, b) => {
    expect(dnEqual(octets(a), octets(b))).toBe(true);
  });

  it.each([
    ["CN=a, O=b", "O=b, CN=a"],
    ["CN=a", "O=a"],
    ["CN=a", "CN=a, CN=a"],
    ["CN=a b", "CN=ab"],
    ["CN=a, O=b", "CN=a+O=b"],
    ["CN=a\\, O=b", "CN=a, O=b"],
  ])("tells %j from %j", (a, b) => {
    expect(dnEqual(parseDn(a), parseDn(b))).toBe(false);
  });

  it("tells values apart that are no text in their own encoding", () => {
    expect(dnEqual(octets("300c310a30080603550403 0c01ff"), octets("300c310a30080603550403 0c01fe"))).toBe(false);
  });
});

describe("hostile names", () => {
  const good = parseDn("C=NL, O=Example, CN=amsterdam+serialNumber=4");

  it("are refused at every truncation, and with anything behind", () => {
    for (let length = 0; length < good.length; length++) expect(failure(() => formatDn(good.subarray(0, length)))).toBe("badName");
    expect(failure(() => formatDn(Uint8Array.of(...good, 0)))).toBe("badName");
  });

  it("are read or refused with an error of ours, whatever octets they are", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (der) => {
        expect(failure(() => formatDn(der))).toMatch(/^(none|badName)$/);
      }),
      { numRuns: 500 },
    );
    fc.assert(
      fc.property(fc.nat(good.length - 1), fc.nat(255), (at, octet) => {
        const changed = Uint8Array.from(good);
        changed[at] = octet;
        expect(failure(() => dnEqual(changed, good))).toMatch(/^(none|badName)$/);
      }),
      { numRuns: 500 },
    );
  });
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

function octets(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text.replaceAll(" ", ""), "hex"));
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}
