import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { derExtension, resignedAnswer, resignedList } from "../testing/resigning.ts";
import { RevokingAuthority } from "../testing/revoking-authority.ts";
import { type Certificate, readCertificate } from "./certificate.ts";
import { type DerElement, DerTag, derElement, derElements } from "./der.ts";
import { statusRequest } from "./ocsp.ts";
import { RevocationStore } from "./revocation.ts";

/* What may not be believed although the authority has signed it (RFC 5280 §5.2, §5.3, §6.3.3; RFC 6960 §4.2.2.2, §4.4). */

const now = Date.now() + 60_000;
const subject = { code: "badRevocation", what: "the test's list" } as const;
const strange = [0x2b, 6, 1, 4, 1, 0x86, 0x8d, 0x1f, 7];
const nonce = [0x2b, 6, 1, 5, 5, 7, 48, 1, 2];
const arc = (last: number) => [0x55, 0x1d, last];

let ca: RevokingAuthority;
let authority: Certificate;
let peer: Certificate;
let key: Uint8Array;
let list: Uint8Array;
let answer: Uint8Array;

beforeAll(() => {
  ca = new RevokingAuthority();
  authority = readCertificate(ca.certificate);
  peer = readCertificate(ca.issue("peer.example"));
  ca.revoke("peer.example");
  key = ca.openssl.privateKey("ca.key");
  list = ca.list();
  answer = ca.answer(statusRequest(peer, authority));
});
afterAll(() => ca.remove());

/** What the store says of the peer after this list; throws what it refuses the list with. */
function byList(der: Uint8Array, issuer = authority): string {
  const store = new RevocationStore();
  store.addList(der, [issuer], now);
  return store.status(peer, issuer, now).kind;
}

function byAnswer(der: Uint8Array): string {
  const store = new RevocationStore();
  store.addAnswer(der, { certificate: peer, issuer: authority }, now);
  return store.status(peer, authority, now).kind;
}

const whole = (fields: readonly DerElement[]): Uint8Array[] => fields.map((field) => field.whole);

describe("a revocation list", () => {
  /** The list with these extensions beside its number. */
  const withExtensions = (...extensions: readonly Uint8Array[]) =>
    resignedList(list, key, (fields) => {
      const [own] = derElements(fields.at(-1)!.content, subject);
      return [...whole(fields.slice(0, -1)), derElement(0xa0, [derElement(DerTag.SEQUENCE, [own!.content, ...extensions])])];
    });
  /** The list with these extensions in its only entry, beside the reason. */
  const withInEntry = (...extensions: readonly Uint8Array[]) =>
    resignedList(list, key, (fields) => {
      const [entry] = derElements(fields[5]!.content, subject);
      const [serial, date, own] = derElements(entry!.content, subject);
      const changed = derElement(DerTag.SEQUENCE, [serial!.whole, date!.whole, derElement(DerTag.SEQUENCE, [own!.content, ...extensions])]);
      return [...whole(fields.slice(0, 5)), derElement(DerTag.SEQUENCE, [changed]), ...whole(fields.slice(6))];
    });

  it("is used as it is, and with extensions that are not critical", () => {
    expect(byList(resignedList(list, key, whole))).toBe("revoked");
    expect(byList(withExtensions(derExtension(strange, false)))).toBe("revoked");
    expect(byList(withInEntry(derExtension(strange, false), derExtension(arc(24), false)))).toBe("revoked");
  });

  it("with an unknown critical extension, its own or of an entry about whomever, is not used", () => {
    expect(() => byList(withExtensions(derExtension(strange, true)))).toThrow(/critical extension/);
    expect(() => byList(withInEntry(derExtension(strange, true)))).toThrow(/critical extension/);
    // The date since when the key is doubted is never critical, and says nothing that the list does not.
    expect(() => byList(withInEntry(derExtension(arc(24), true)))).toThrow(/critical extension/);
  });

  it("that only tells changes, speaks for other authorities, for some reasons or for attributes is not used, critical or not", () => {
    const point = (tag: number, content: readonly number[]) => derElement(DerTag.SEQUENCE, [derElement(tag, [Uint8Array.from(content)])]);
    for (const critical of [true, false]) {
      expect(() => byList(withExtensions(derExtension(arc(27), critical, Uint8Array.of(2, 1, 1))))).toThrow(/delta/);
      for (const scope of [point(0x83, [1, 0x40]), point(0x84, [0xff]), point(0x85, [0xff])])
        expect(() => byList(withExtensions(derExtension(arc(28), critical, scope)))).toThrow(/indirect list, or one for some/);
      expect(() => byList(withInEntry(derExtension(arc(29), critical, derElement(DerTag.SEQUENCE, []))))).toThrow(/another authority/);
    }
  });

  it("that names its scope twice is not used", () => {
    const scope = (tag: number) => derExtension(arc(28), true, derElement(DerTag.SEQUENCE, [derElement(tag, [Uint8Array.of(0xff)])]));
    expect(byList(withExtensions(scope(0x81)))).toBe("revoked");
    expect(() => byList(withExtensions(scope(0x81), scope(0x82)))).toThrow(/twice/);
  });

  it("of an authority whose key may not sign lists is not used", () => {
    const { openssl } = ca;
    openssl.write("limited.ext", "basicConstraints = critical, CA:TRUE\nkeyUsage = critical, keyCertSign, digitalSignature");
    openssl.run("req", "-new", "-key", "ca.key", "-subj", "/CN=Authority", "-out", "limited.csr", "-config", "ca.cnf");
    openssl.run("x509", "-req", "-in", "limited.csr", "-signkey", "ca.key", "-days", "30", "-extfile", "limited.ext", "-out", "limited.pem");
    const limited = readCertificate(openssl.certificate("limited.pem"));
    expect(() => byList(list, limited)).toThrow(/not signed/);
    expect(byList(list)).toBe("revoked");
  });
});

describe("an OCSP answer", () => {
  const withExtensions = (...extensions: readonly Uint8Array[]) =>
    resignedAnswer(answer, key, (fields) => [...whole(fields.slice(0, 3)), derElement(0xa1, [derElement(DerTag.SEQUENCE, extensions)])]);
  const withInSingle = (...extensions: readonly Uint8Array[]) =>
    resignedAnswer(answer, key, ([responder, date, list]) => {
      const [single] = derElements(list!.content, subject);
      const changed = derElement(DerTag.SEQUENCE, [single!.content, derElement(0xa1, [derElement(DerTag.SEQUENCE, extensions)])]);
      return [responder!.whole, date!.whole, derElement(DerTag.SEQUENCE, [changed])];
    });

  it("is used as it is, with extensions that are not critical, and with those that leave the status what it is", () => {
    expect(byAnswer(resignedAnswer(answer, key, whole))).toBe("revoked");
    for (const make of [withExtensions, withInSingle]) {
      expect(byAnswer(make(derExtension(strange, false)))).toBe("revoked");
      expect(byAnswer(make(derExtension(nonce, true)))).toBe("revoked");
    }
  });

  it("with an unknown critical extension, of the whole or of what is said about the certificate, is not used", () => {
    for (const make of [withExtensions, withInSingle]) {
      expect(() => byAnswer(make(derExtension(strange, true)))).toThrow(/critical extension/);
      expect(() => byAnswer(make(derExtension(nonce, true), derExtension(strange, true)))).toThrow(/critical extension/);
      expect(() => byAnswer(make(derExtension(strange, false), derExtension(strange, true)))).toThrow(/twice/);
    }
  });
});

describe("a delegate that signs an OCSP answer", () => {
  /** The answer signed by a certificate of this name that the authority has issued with these extensions. */
  const signedBy = (name: string, extensions: readonly string[]) => {
    const certificate = ca.issue(name, extensions);
    return resignedAnswer(answer, ca.openssl.privateKey(`${name}.key`), whole, [certificate]);
  };

  it.each([
    ["without a key usage", []],
    ["with digitalSignature", ["keyUsage = critical, digitalSignature"]],
    ["with nonRepudiation, which RFC 5280 §4.2.1.12 has beside it", ["keyUsage = critical, nonRepudiation"]],
    ["that nobody need ask about", ["noCheck = critical, ignored"]],
  ])("%s is believed", (name, extensions) => {
    expect(byAnswer(signedBy(`d-${name.length}.example`, ["extendedKeyUsage = OCSPSigning", ...extensions]))).toBe("revoked");
  });

  it.each([
    ["whose key may sign no answers", ["extendedKeyUsage = OCSPSigning", "keyUsage = critical, keyEncipherment"]],
    ["whose key may only sign certificates and lists", ["extendedKeyUsage = OCSPSigning", "keyUsage = keyCertSign, cRLSign"]],
    ["with a critical extension that is not understood", ["extendedKeyUsage = OCSPSigning", "1.3.6.1.4.1.99999.7 = critical, DER:0500"]],
    ["for every purpose but not for this one by name", ["extendedKeyUsage = anyExtendedKeyUsage"]],
    ["for no purpose in particular", []],
  ])("%s is not believed", (name, extensions) => {
    expect(() => byAnswer(signedBy(`n-${name.length}.example`, extensions))).toThrow(/signed by nobody/);
  });

  it("that the authority has not issued itself is not believed", () => {
    const { openssl } = ca;
    ca.issue("sub.example", ["basicConstraints = critical, CA:TRUE", "keyUsage = critical, keyCertSign"]);
    openssl.run("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", "far.key");
    openssl.run("req", "-new", "-key", "far.key", "-subj", "/CN=far", "-out", "far.csr", "-config", "ca.cnf");
    openssl.write("far.ext", "extendedKeyUsage = OCSPSigning");
    openssl.run(
      "x509",
      "-req",
      "-in",
      "far.csr",
      "-CA",
      "sub.example.pem",
      "-CAkey",
      "sub.example.key",
      "-days",
      "9",
      "-extfile",
      "far.ext",
      "-out",
      "far.pem",
    );
    const far = resignedAnswer(answer, openssl.privateKey("far.key"), whole, [openssl.certificate("far.pem"), openssl.certificate("sub.example.pem")]);
    expect(() => byAnswer(far)).toThrow(/signed by nobody/);
  });
});
