import "reflect-metadata";
import { isIP } from "node:net";
import * as x509 from "@peculiar/x509";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type CertificateWish, makeCertificate } from "../testing/certificates.ts";
import { type Certificate, readCertificate } from "./certificate.ts";
import { CryptoError } from "./crypto-error.ts";

/** What our reading of a certificate's octets and that of an independent library are compared by. */
interface Reading {
  readonly subject: string;
  readonly issuer: string;
  readonly serial: string;
  readonly dates: readonly number[];
  readonly extensions: readonly (readonly [oid: string, critical: boolean, value: string])[];
  readonly constraints: readonly [boolean, number | null] | null;
  readonly usages: readonly number[] | null;
  readonly purposes: readonly string[] | null;
  readonly names: readonly string[];
}

const authority = await makeCertificate({ name: "CN=Authority", authority: { pathLength: null } });
const made = await Promise.all(
  (
    [
      { name: "CN=plain", issuer: authority },
      { name: "C=NL, O=Exämple, CN=amsterdam", authority: { pathLength: 0 } },
      { name: "CN=deep", authority: { pathLength: 3 }, issuer: authority },
      {
        name: "CN=names",
        issuer: authority,
        alternativeNames: [
          { type: "dns", value: "amsterdam.example" },
          { type: "email", value: "admin@amsterdam.example" },
          { type: "ip", value: "192.0.2.1" },
          { type: "ip", value: "2001:db8::1" },
          { type: "url", value: "http://amsterdam.example/" },
        ],
      },
      {
        name: "CN=purposes",
        issuer: authority,
        extensions: [
          new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature | x509.KeyUsageFlags.decipherOnly, true),
          new x509.ExtendedKeyUsageExtension(["1.3.6.1.5.5.7.3.17", "2.5.29.37.0", "1.3.6.1.4.1.99999.123456789"], true),
          new x509.Extension("2.999.18446744073", true, Uint8Array.of(5, 0)),
        ],
      },
    ] satisfies CertificateWish[]
  ).map((wish) => makeCertificate(wish)),
);

describe("a certificate", () => {
  it.each(made.map((one) => [one.name, one] as const))("%s says here what it says to another library", (_name, { der }) => {
    expect(ours(readCertificate(der))).toEqual(theirs(der));
  });

  it("with any octets changed is refused or read alike by both", () => {
    const change = fc.record({ which: fc.nat(made.length - 1), edits: fc.array(fc.tuple(fc.nat(1_000), fc.nat(255)), { minLength: 1, maxLength: 3 }) });
    let read = 0;
    fc.assert(
      fc.property(change, ({ which, edits }) => {
        const der = Uint8Array.from(made[which]!.der);
        for (const [at, octet] of edits) der[at % der.length] = octet;
        const [own, other] = [attempt(() => ours(readCertificate(der))), attempt(() => theirs(der))];
        if (own === null || other === null) return;
        read += 1;
        expect(own).toEqual(other);
      }),
      { numRuns: 4_000, seed: 26 },
    );
    expect(read).toBeGreaterThan(500);
  });

  it("with an extension twice is refused", async () => {
    const extension = new x509.Extension("1.3.6.1.4.1.99999.1", false, Uint8Array.of(5, 0));
    const { der } = await makeCertificate({ name: "CN=twice", extensions: [extension, extension] });
    expect(() => readCertificate(der)).toThrow(CryptoError);
  });
});

function ours(certificate: Certificate): Reading {
  const { basicConstraints: constraints, keyUsage, extendedKeyUsage } = certificate;
  return {
    subject: hex(certificate.subject),
    issuer: hex(certificate.issuer),
    serial: unsigned(hex(certificate.serialNumber)),
    dates: [certificate.notBefore.getTime(), certificate.notAfter.getTime()],
    extensions: certificate.extensions.map(({ oid, critical, value }) => [oid, critical, hex(value)] as const),
    constraints: constraints && [constraints.isAuthority, constraints.pathLength],
    // The library knows the nine bits that have a meaning.
    usages: keyUsage && [...keyUsage].filter((bit) => bit < 9),
    purposes: extendedKeyUsage,
    names: certificate.alternativeNames.map(({ type, value }) => `${type}:${value}`),
  };
}

function theirs(der: Uint8Array): Reading {
  const certificate = new x509.X509Certificate(new Uint8Array(der));
  const constraints = certificate.getExtension(x509.BasicConstraintsExtension);
  const usage = certificate.getExtension(x509.KeyUsagesExtension);
  const names = certificate.getExtension(x509.SubjectAlternativeNameExtension);
  return {
    subject: hex(certificate.subjectName.toArrayBuffer()),
    issuer: hex(certificate.issuerName.toArrayBuffer()),
    serial: unsigned(certificate.serialNumber),
    dates: [certificate.notBefore.getTime(), certificate.notAfter.getTime()],
    extensions: certificate.extensions.map(({ type, critical, value }) => [type, critical, hex(value)] as const),
    // Where a broken certificate has less than nought, nobody may follow.
    constraints: constraints && [constraints.ca, constraints.pathLength === undefined ? null : Math.max(0, constraints.pathLength)],
    usages: usage && [0, 1, 2, 3, 4, 5, 6, 7, 8].filter((bit) => usage.usages & (1 << bit)),
    purposes: certificate.getExtension(x509.ExtendedKeyUsageExtension)?.usages.map(String) ?? null,
    // An address of an impossible length speaks for nobody.
    names: (names?.names.toJSON() ?? []).filter(({ type, value }) => type !== "ip" || isIP(String(value)) !== 0).map(({ type, value }) => `${type}:${value}`),
  };
}

/** Without the zeros that only say that the number is not negative. */
function unsigned(serial: string): string {
  return serial.replace(/^(00)+(?=.)/, "");
}

/** Null for what is refused. */
function attempt(read: () => Reading): Reading | null {
  try {
    return read();
  } catch {
    return null;
  }
}

function hex(octets: Uint8Array | ArrayBuffer): string {
  return Buffer.from(octets instanceof ArrayBuffer ? new Uint8Array(octets) : octets).toString("hex");
}
