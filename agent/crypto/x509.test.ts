import "reflect-metadata";
import { Extension, KeyUsageFlags } from "@peculiar/x509";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type CertificateWish, dayMs, type MadeCertificate, makeCertificate, makeKeys, noon, privateKeyOf } from "../testing/certificates.ts";
import { OpenSsl } from "../testing/openssl.ts";
import { IdType } from "../wire/iana.ts";
import { CryptoError } from "./crypto-error.ts";
import { parseDn } from "./dn.ts";
import { signAuth, supportedSignatureHashes, verifyAuth } from "./signature.ts";
import { authorityKeyHash, type CertificateVerdict, type ClaimedIdentity, verifyPeerCertificate } from "./x509.ts";

const root = await makeCertificate({ name: "CN=Root", authority: { pathLength: null } });
const berlin = await leafOf(root, {});
const claim = fqdn("berlin.example");

describe("the way to a trusted authority", () => {
  it("is found directly, through intermediates in any order, and not needed for a certificate that is itself trusted", async () => {
    const first = await makeCertificate({ name: "CN=First", issuer: root, authority: { pathLength: null } });
    const second = await makeCertificate({ name: "CN=Second", issuer: first, authority: { pathLength: 0 } });
    const deep = await leafOf(second, {});
    expect(code([berlin])).toBe("ok");
    expect(code([deep, first, second])).toBe("ok");
    expect(code([deep, second, first, root])).toBe("ok");
    expect(code([deep, second, first], { trusted: [second] })).toBe("ok");
    expect(code([deep], { trusted: [deep] })).toBe("ok");
    expect(code([deep, second])).toBe("untrusted");
  });

  it("does not begin with an authority that the peer brings along", async () => {
    const own = await makeCertificate({ name: "CN=Root", authority: { pathLength: null } });
    const verdict = verify([await leafOf(own, {}), own]);
    expect(verdict).toEqual({
      ok: false,
      code: "untrusted",
      sentence: "the certificate of CN=berlin was issued by CN=Root, which does not lead to an authority that this link trusts",
    });
  });

  it("is refused when there is no certificate, or nobody is trusted", () => {
    expect(verify([])).toEqual({ ok: false, code: "untrusted", sentence: "the peer sent no certificate" });
    expect(code([berlin], { trusted: [] })).toBe("untrusted");
  });

  it("goes through authorities only", async () => {
    const sibling = await makeCertificate({ name: "CN=sibling", issuer: root });
    const verdict = verify([await leafOf(sibling, {}), sibling]);
    expect(verdict).toEqual({ ok: false, code: "untrusted", sentence: "CN=sibling signed a certificate but is not an authority that may do so" });
    const unauthorised = await makeCertificate({ name: "CN=CA", issuer: root, authority: { pathLength: null }, usage: KeyUsageFlags.cRLSign });
    expect(code([await leafOf(unauthorised, {}), unauthorised])).toBe("untrusted");
    const authorised = await makeCertificate({ name: "CN=CA", issuer: root, authority: { pathLength: null }, usage: KeyUsageFlags.keyCertSign });
    expect(code([await leafOf(authorised, {}), authorised])).toBe("ok");
  });

  it("is no longer than an authority allows", async () => {
    const narrow = await makeCertificate({ name: "CN=Narrow", issuer: root, authority: { pathLength: 0 } });
    const below = await makeCertificate({ name: "CN=Below", issuer: narrow, authority: { pathLength: null } });
    expect(code([await leafOf(narrow, {}), narrow])).toBe("ok");
    expect(code([await leafOf(below, {}), below, narrow])).toBe("untrusted");
  });

  it("has at most eight certificates", async () => {
    const chain: MadeCertificate[] = [root];
    for (let depth = 0; depth < 7; depth++)
      chain.unshift(await makeCertificate({ name: `CN=CA ${depth}`, issuer: chain[0] ?? root, authority: { pathLength: null } }));
    expect(code([await leafOf(chain[1] ?? root, {}), ...chain.slice(1, -1)])).toBe("ok");
    expect(code([await leafOf(chain[0] ?? root, {}), ...chain.slice(0, -1)])).toBe("untrusted");
  });

  it("takes the renewed certificate of an authority whose old one is still listed", async () => {
    const old = await makeCertificate({ name: "CN=Root", keys: root.keys, authority: { pathLength: null }, notAfter: noon - 1 });
    expect(code([berlin], { trusted: [old, root] })).toBe("ok");
    expect(code([berlin], { trusted: [root, old] })).toBe("ok");
    expect(code([berlin], { trusted: [old] })).toBe("expired");
  });

  it("is not searched for long among authorities that all certify each other", async () => {
    const keys = await makeKeys();
    const mesh = await Promise.all(Array.from({ length: 30 }, () => makeCertificate({ name: "CN=Mesh", keys, authority: { pathLength: null } })));
    const leaf = await leafOf({ name: "CN=Mesh", keys }, {});
    const started = performance.now();
    expect(code([leaf, ...mesh])).toBe("untrusted");
    expect(performance.now() - started).toBeLessThan(5_000);
  });
});

describe("dates", () => {
  it.each<[string, Partial<CertificateWish>, string]>([
    ["expired", { notBefore: noon - 9 * dayMs, notAfter: noon - dayMs }, "the certificate of CN=berlin expired on 2026-06-14 (it is 2026-06-15 here)"],
    [
      "notYetValid",
      { notBefore: noon + dayMs, notAfter: noon + 9 * dayMs },
      "the certificate of CN=berlin is not valid before 2026-06-16 (it is 2026-06-15 here: is a clock wrong?)",
    ],
  ])("say %s with both days", async (expected, wish, sentence) => {
    expect(verify([await leafOf(root, wish)])).toEqual({ ok: false, code: expected, sentence });
  });

  it("say the time when it is a matter of hours", async () => {
    const verdict = verify([await leafOf(root, { notBefore: noon - dayMs, notAfter: noon - 60_000 })]);
    expect(verdict).toMatchObject({ sentence: "the certificate of CN=berlin expired on 2026-06-15 11:59:00 UTC (it is 2026-06-15 12:00:00 UTC here)" });
  });

  it("count for every certificate of the way, the authority's own too", async () => {
    const issuer = await makeCertificate({ name: "CN=CA", issuer: root, authority: { pathLength: null }, notAfter: noon - 1 });
    expect(code([await leafOf(issuer, {}), issuer])).toBe("expired");
    expect(verify([berlin], { at: noon + 2 * dayMs })).toMatchObject({ code: "expired" });
  });

  it("are both inside, and go beyond 2050", async () => {
    const late = await leafOf(root, { notBefore: noon, notAfter: Date.UTC(2060, 0, 1) });
    expect(code([late], { at: noon })).toBe("ok");
    expect(code([late], { at: noon - 1 })).toBe("notYetValid");
    const eternal = await makeCertificate({ name: "CN=Root", keys: root.keys, authority: { pathLength: null }, notAfter: Date.UTC(2070, 0, 1) });
    expect(code([late], { trusted: [eternal], at: Date.UTC(2060, 0, 1) })).toBe("ok");
    expect(code([late], { trusted: [eternal], at: Date.UTC(2060, 0, 1) + 1 })).toBe("expired");
  });
});

describe("extensions", () => {
  const unknown = (critical: boolean) => new Extension("1.3.6.1.4.1.99999.1", critical, Uint8Array.of(5, 0));

  it("that are critical and unknown refuse the certificate, wherever it stands", async () => {
    const verdict = verify([await leafOf(root, { extensions: [unknown(true)] })]);
    expect(verdict).toEqual({
      ok: false,
      code: "unknownCriticalExtension",
      sentence: "the certificate of CN=berlin has a critical extension that is not understood here (1.3.6.1.4.1.99999.1)",
    });
    const issuer = await makeCertificate({ name: "CN=CA", issuer: root, authority: { pathLength: null }, extensions: [unknown(true)] });
    expect(code([await leafOf(issuer, {}), issuer])).toBe("unknownCriticalExtension");
    expect(code([await leafOf(root, { extensions: [unknown(false)] })])).toBe("ok");
  });

  it.each<[string, number, string]>([
    ["digitalSignature", KeyUsageFlags.digitalSignature, "ok"],
    ["nonRepudiation", KeyUsageFlags.nonRepudiation, "ok"],
    ["keyEncipherment", KeyUsageFlags.keyEncipherment | KeyUsageFlags.keyAgreement, "notForSigning"],
  ])("with key usage %s (RFC 4945 §5.1.3.2)", async (_name, usage, expected) => {
    expect(code([await leafOf(root, { usage })])).toBe(expected);
  });

  it.each([
    ["IPsec IKE", "1.3.6.1.5.5.7.3.17", "ok"],
    ["TLS client", "1.3.6.1.5.5.7.3.2", "ok"],
    ["any", "2.5.29.37.0", "ok"],
    ["code signing", "1.3.6.1.5.5.7.3.3", "notForSigning"],
  ])("with the purpose %s", async (_name, purpose, expected) => {
    expect(code([await leafOf(root, { purposes: [purpose] })])).toBe(expected);
  });
});

describe("the claimed identity", () => {
  const holder = leafOf(root, {
    name: "C=NL, CN=berlin",
    alternativeNames: [
      { type: "dns", value: "Berlin.example" },
      { type: "email", value: "vpn@berlin.example" },
      { type: "ip", value: "192.0.2.7" },
      { type: "ip", value: "2001:db8::7" },
    ],
  });

  it.each<[string, ClaimedIdentity]>([
    ["its name, in any case", fqdn("BERLIN.example")],
    ["its mail address", { idType: IdType.RFC822_ADDR, data: text("vpn@berlin.example") }],
    ["its IPv4 address", { idType: IdType.IPV4_ADDR, data: Uint8Array.of(192, 0, 2, 7) }],
    ["its IPv6 address", { idType: IdType.IPV6_ADDR, data: Uint8Array.of(0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7) }],
    ["its subject", { idType: IdType.DER_ASN1_DN, data: parseDn("C=NL, CN=berlin") }],
    ["its subject in another case", { idType: IdType.DER_ASN1_DN, data: parseDn("C=nl, CN=Berlin") }],
  ])("may be %s", async (_what, identity) => {
    expect(code([await holder], { identity })).toBe("ok");
  });

  it.each<[string, ClaimedIdentity]>([
    ["another name", fqdn("paris.example")],
    ["a part of its name", fqdn("example")],
    ["its name with something behind", fqdn("berlin.example\0.evil")],
    ["the common name", fqdn("berlin")],
    ["its name as a mail address", { idType: IdType.RFC822_ADDR, data: text("berlin.example") }],
    ["its mail address as a name", fqdn("vpn@berlin.example")],
    ["its address as a name", fqdn("192.0.2.7")],
    ["another address", { idType: IdType.IPV4_ADDR, data: Uint8Array.of(192, 0, 2, 8) }],
    ["no address", { idType: IdType.IPV4_ADDR, data: new Uint8Array(0) }],
    ["another subject", { idType: IdType.DER_ASN1_DN, data: parseDn("C=NL, CN=paris") }],
    ["a subject in another order", { idType: IdType.DER_ASN1_DN, data: parseDn("CN=berlin, C=NL") }],
    ["octets that are no subject", { idType: IdType.DER_ASN1_DN, data: Uint8Array.of(0x30, 9, 1) }],
    ["an empty name", fqdn("")],
    ["a key identifier", { idType: IdType.KEY_ID, data: text("berlin.example") }],
    ["an identity of a kind that does not exist", { idType: 99, data: text("berlin.example") }],
  ])("may not be %s", async (_what, identity) => {
    expect(code([await holder], { identity })).toBe("identityMismatch");
  });

  it("is not read from a pattern, or a certificate without names", async () => {
    expect(code([await leafOf(root, { alternativeNames: [{ type: "dns", value: "*.example" }] })])).toBe("identityMismatch");
    expect(code([await leafOf(root, { alternativeNames: [] })])).toBe("identityMismatch");
  });

  it("stands beside the certificate's names in the sentence, without control characters", async () => {
    const verdict = verify([await holder], { identity: fqdn("paris\u001b[2J.example") });
    expect(verdict).toMatchObject({
      sentence: "the peer calls itself paris?[2J.example but its certificate says C=NL, CN=berlin, Berlin.example, vpn@berlin.example, 192.0.2.7, 2001:db8::7",
    });
  });
});

describe("certificates that OpenSSL made", () => {
  const openssl = new OpenSsl();
  let now = 0;
  beforeAll(() => {
    openssl.run("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "root.key", "-out", "root.pem", "-days", "30", "-subj", "/C=NL/O=Example/CN=Root");
    issue("middle", "root", "/C=NL/O=Example/CN=Middle", "basicConstraints=critical,CA:TRUE,pathlen:0\nkeyUsage=critical,keyCertSign,cRLSign\n");
    issue(
      "leaf",
      "middle",
      "/C=NL/O=Example/CN=gw",
      "subjectAltName=DNS:gw.example,IP:198.51.100.9,IP:2001:db8::9,email:gw@example.org\nextendedKeyUsage=ipsecIKE\nkeyUsage=critical,digitalSignature\n",
    );
    now = Date.now();
  });
  afterAll(() => openssl.remove());

  function issue(name: string, issuer: string, subject: string, extensions: string): void {
    openssl.write(`${name}.ext`, `${extensions}authorityKeyIdentifier=keyid\nsubjectKeyIdentifier=hash\n`);
    openssl.run("req", "-new", "-newkey", "rsa:2048", "-nodes", "-keyout", `${name}.key`, "-out", `${name}.csr`, "-subj", subject);
    openssl.run(
      "x509",
      "-req",
      "-in",
      `${name}.csr`,
      "-CA",
      `${issuer}.pem`,
      "-CAkey",
      `${issuer}.key`,
      "-CAcreateserial",
      "-days",
      "20",
      "-extfile",
      `${name}.ext`,
      "-out",
      `${name}.pem`,
    );
  }

  it.each<[string, ClaimedIdentity]>([
    ["name", fqdn("gw.example")],
    ["address", { idType: IdType.IPV4_ADDR, data: Uint8Array.of(198, 51, 100, 9) }],
    ["mail address", { idType: IdType.RFC822_ADDR, data: text("gw@example.org") }],
    ["subject", { idType: IdType.DER_ASN1_DN, data: parseDn("C=NL, O=Example, CN=gw") }],
  ])("lead through an intermediate to the root, by %s", (_kind, identity) => {
    const [leaf, middle, top] = ["leaf", "middle", "root"].map((name) => openssl.certificate(`${name}.pem`));
    if (leaf === undefined || middle === undefined || top === undefined) throw new Error("three certificates");
    expect(verifyPeerCertificate({ chain: [leaf, middle], trustedAuthorities: [top], at: now, identity })).toMatchObject({
      ok: true,
      path: [{ subjectText: "C=NL, O=Example, CN=gw" }, { subjectText: "C=NL, O=Example, CN=Middle" }, { subjectText: "C=NL, O=Example, CN=Root" }],
    });
    expect(verifyPeerCertificate({ chain: [leaf], trustedAuthorities: [top], at: now, identity })).toMatchObject({ code: "untrusted" });
  });

  it("are named in a CERTREQ by the SHA-1 of their public key", () => {
    openssl.write("root.pub.pem", openssl.run("x509", "-in", "root.pem", "-pubkey", "-noout"));
    openssl.run("pkey", "-pubin", "-in", "root.pub.pem", "-outform", "DER", "-out", "root.spki");
    const expected = openssl.run("dgst", "-sha1", "-r", "root.spki").toString().slice(0, 40);
    expect(Buffer.from(authorityKeyHash(openssl.certificate("root.pem"))).toString("hex")).toBe(expected);
  });
});

describe("hostile certificates", () => {
  it("cannot hide the certificate of one name in that of another", async () => {
    // A parser that looks for PEM first sees mallory's certificate, which the authority did sign; one that reads DER sees berlin's.
    const mallory = await makeCertificate({ name: "CN=mallory", issuer: root, alternativeNames: [{ type: "dns", value: "mallory.example" }] });
    const hidden = new Extension("1.3.6.1.4.1.99999.2", false, text(`\n${mallory.pem}`));
    const forged = await makeCertificate({
      name: "CN=berlin",
      issuer: { name: "CN=Root", keys: mallory.keys },
      keys: mallory.keys,
      alternativeNames: [{ type: "dns", value: "berlin.example" }],
      extensions: [hidden],
    });
    const { method, data } = signAuth(await privateKeyOf(mallory), supportedSignatureHashes, text("signed"));
    expect(code([mallory], { identity: fqdn("mallory.example") })).toBe("ok");
    for (const der of [forged.der, text(mallory.pem), Uint8Array.of(...mallory.der, 0), Uint8Array.of(...forged.der, ...text(`\n${mallory.pem}`))]) {
      expect(verifyPeerCertificate({ chain: [der], trustedAuthorities: [root.der], at: noon, identity: claim })).toMatchObject({
        ok: false,
        code: "malformed",
      });
      expect(failure(() => verifyAuth(method, data, der, text("signed"), supportedSignatureHashes))).toBe("badCertificate");
    }
  });

  it("with any octet changed are refused, never with an error", () => {
    for (let at = 0; at < berlin.der.length; at++)
      for (const bit of [0x01, 0x80]) {
        const changed = Uint8Array.from(berlin.der);
        changed[at] = (changed[at] ?? 0) ^ bit;
        expect(verifyDer([changed]).ok, `octet ${at}`).toBe(false);
        expect(failure(() => authorityKeyHash(changed))).toMatch(/^(none|badCertificate)$/);
        expect(failure(() => verifyAuth(14, Uint8Array.of(0), changed, Uint8Array.of(1), null))).toMatch(/^(unsupported|badCertificate)$/);
      }
  });

  it("cut anywhere are refused, never with an error", () => {
    for (let length = 0; length < berlin.der.length; length++)
      expect(verifyDer([berlin.der.subarray(0, length)])).toMatchObject({ ok: false, code: "malformed" });
  });

  it("changed in several places, cut and swapped are refused, as leaf and as intermediate", () => {
    const edits = fc.array(fc.tuple(fc.nat(berlin.der.length - 1), fc.nat(255)), { minLength: 1, maxLength: 6 });
    fc.assert(
      fc.property(edits, fc.integer({ min: 0, max: 8 }), (places, tail) => {
        const changed = Uint8Array.from(berlin.der);
        for (const [at, octet] of places) changed[at] = octet;
        const hostile = changed.subarray(0, changed.length - tail);
        if (Buffer.compare(hostile, berlin.der) === 0) return;
        expect(verifyDer([hostile]).ok).toBe(false);
        expect(["ok", "malformed"]).toContain(codeOf(verifyDer([berlin.der, hostile])));
      }),
      { numRuns: 600 },
    );
  });

  it("that are any octets are refused", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (der) => {
        expect(verifyDer([der])).toMatchObject({ ok: false, code: "malformed" });
      }),
      { numRuns: 300 },
    );
  });

  it("in the list of trusted authorities are not blamed on the peer", () => {
    expect(verifyPeerCertificate({ chain: [berlin.der], trustedAuthorities: [Uint8Array.of(0x30, 0)], at: noon, identity: claim })).toMatchObject({
      code: "malformed",
      sentence: "an authority that this link trusts cannot be read: this is not an X.509 certificate",
    });
  });
});

interface Circumstances {
  readonly trusted?: readonly MadeCertificate[];
  readonly at?: number;
  readonly identity?: ClaimedIdentity;
}

function code(chain: readonly MadeCertificate[], circumstances: Circumstances = {}): string {
  return codeOf(verify(chain, circumstances));
}

function codeOf(verdict: CertificateVerdict): string {
  return verdict.ok ? "ok" : verdict.code;
}

function verify(chain: readonly MadeCertificate[], { trusted = [root], at = noon, identity = claim }: Circumstances = {}): CertificateVerdict {
  return verifyPeerCertificate({ chain: chain.map((one) => one.der), trustedAuthorities: trusted.map((one) => one.der), at, identity });
}

function verifyDer(chain: readonly Uint8Array[]): CertificateVerdict {
  return verifyPeerCertificate({ chain, trustedAuthorities: [root.der], at: noon, identity: claim });
}

function leafOf(issuer: Pick<MadeCertificate, "name" | "keys">, wish: Partial<CertificateWish>): Promise<MadeCertificate> {
  return makeCertificate({ name: "CN=berlin", issuer, alternativeNames: [{ type: "dns", value: "berlin.example" }], ...wish });
}

function fqdn(name: string): ClaimedIdentity {
  return { idType: IdType.FQDN, data: text(name) };
}

function text(value: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(value);
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
