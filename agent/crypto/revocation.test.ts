import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { RevokingAuthority } from "../testing/revoking-authority.ts";
import { readCertificate } from "./certificate.ts";
import { listAddresses, readRevocationList, responderAddresses } from "./crl.ts";
import { CryptoError } from "./crypto-error.ts";
import { readStatusAnswer, statusRequest } from "./ocsp.ts";
import { RevocationStore } from "./revocation.ts";

const where = ["crlDistributionPoints = URI:http://lists.example/all.crl, URI:ldap://lists.example/x", "authorityInfoAccess = OCSP;URI:http://ocsp.example/"];
/** After everything that the tests make has begun. */
const now = Date.now() + 60_000;
const day = 86_400_000;

let ca: RevokingAuthority;
let authority: ReturnType<typeof readCertificate>;
let good: ReturnType<typeof readCertificate>;
let bad: ReturnType<typeof readCertificate>;
let silent: ReturnType<typeof readCertificate>;

beforeAll(() => {
  ca = new RevokingAuthority();
  authority = readCertificate(ca.certificate);
  good = readCertificate(ca.issue("good.example", where));
  bad = readCertificate(ca.issue("bad.example", where));
  silent = readCertificate(ca.issue("silent.example"));
  ca.issue("responder.example", ["extendedKeyUsage = OCSPSigning"]);
  ca.issue("stranger.example");
  ca.revoke("bad.example");
});
afterAll(() => ca.remove());

describe("a certificate", () => {
  it("says where its lists and its OCSP responder are, as far as they are on the web", () => {
    expect([listAddresses(good), responderAddresses(good)]).toEqual([["http://lists.example/all.crl"], ["http://ocsp.example/"]]);
    expect([listAddresses(silent), responderAddresses(silent)]).toEqual([[], []]);
  });
});

describe("a store of revocations", () => {
  it("asks where nothing is known, and knows that it cannot where there is nobody", () => {
    const store = new RevocationStore();
    expect(store.status(good, authority, now)).toMatchObject({
      kind: "unsettled",
      query: { responders: ["http://ocsp.example/"], lists: ["http://lists.example/all.crl"] },
    });
    expect(store.status(silent, authority, now)).toMatchObject({ kind: "unknown", isAskable: false });
  });

  it("knows from a list who is revoked, since when and why", () => {
    const store = new RevocationStore();
    const until = store.addList(ca.list(), [authority], now);
    expect(until).toBeGreaterThan(now + 6 * day);
    expect([store.status(good, authority, now), store.status(silent, authority, now)]).toEqual([{ kind: "good" }, { kind: "good" }]);
    const status = store.status(bad, authority, now);
    expect(status).toMatchObject({ kind: "revoked", reason: "keyCompromise" });
    expect(Math.abs((status.kind === "revoked" ? status.at.getTime() : 0) - now)).toBeLessThan(120_000);
  });

  it("knows it from an OCSP answer of the authority or of its delegate, about the asked certificate alone", () => {
    for (const signer of ["ca", "responder.example"]) {
      const store = new RevocationStore();
      store.addAnswer(ca.answer(statusRequest(bad, authority), signer), { certificate: bad, issuer: authority }, now);
      expect(store.status(bad, authority, now)).toMatchObject({ kind: "revoked", reason: "keyCompromise" });
      expect(store.status(good, authority, now).kind).toBe("unsettled");
      store.addAnswer(ca.answer(statusRequest(good, authority), signer), { certificate: good, issuer: authority }, now);
      expect(store.status(good, authority, now)).toEqual({ kind: "good" });
    }
  });

  it("believes an OCSP answer of nobody else", () => {
    const store = new RevocationStore();
    const about = { certificate: good, issuer: authority };
    const request = statusRequest(good, authority);
    expect(() => store.addAnswer(ca.answer(request, "stranger.example"), about, now)).toThrow(/signed by nobody/);
    expect(() => store.addAnswer(ca.answer(statusRequest(silent, authority)), about, now)).toThrow(/another certificate/);
    expect(() => store.addAnswer(ca.answer(request, "responder.example"), about, now + 40 * day)).toThrow(/signed by nobody/);
    expect(() => store.addAnswer(ca.answer(request), about, now + 2 * day)).toThrow(/not for now/);
    expect(store.status(good, authority, now).kind).toBe("unsettled");
  });

  it("keeps a list only when the authority has signed it, and then the newest", () => {
    const store = new RevocationStore();
    const other = new RevokingAuthority();
    try {
      store.addList(ca.list(), [authority], now);
      expect(() => store.addList(other.list(), [authority], now)).toThrow(/not signed/);
      expect(() => store.addList(other.list(), [readCertificate(ca.issue("nosigner.example"))], now)).toThrow(/not signed/);
    } finally {
      other.remove();
    }
    expect(store.status(bad, authority, now).kind).toBe("revoked");
  });

  it("takes and refuses with pauses what it does at once", async () => {
    const pause = async (): Promise<void> => undefined;
    const list = ca.list();
    const changed = Uint8Array.from(list);
    changed[list.length - 1]! ^= 1;
    const other = new RevokingAuthority();
    const refused = [changed, list.subarray(0, 40), other.list()];
    other.remove();
    const store = new RevocationStore();
    for (const one of refused) await expect(store.addListAside(one, [authority], now, pause)).rejects.toThrow(CryptoError);
    await expect(store.addListAside(list, [authority], now + 8 * day, pause)).rejects.toThrow(/not for now/);
    await expect(store.addListAside(list, [good], now, pause)).rejects.toThrow(/not signed/);
    expect(store.status(bad, authority, now).kind).toBe("unsettled");
    expect(await store.addListAside(list, [good, authority], now, pause)).toBe(new RevocationStore().addList(list, [authority], now));
    expect([store.status(bad, authority, now).kind, store.status(good, authority, now).kind]).toEqual(["revoked", "good"]);
  });

  it("does not believe a list before its time or after it", () => {
    const list = ca.list();
    const store = new RevocationStore();
    expect(() => store.addList(list, [authority], now + 8 * day)).toThrow(/not for now/);
    expect(() => store.addList(list, [authority], now - day)).toThrow(/not for now/);
    store.addList(list, [authority], now);
    expect(store.status(bad, authority, now + 8 * day).kind).toBe("unsettled");
  });

  it("tells why nobody could be asked, for a minute", () => {
    const store = new RevocationStore();
    store.noteFailure(good, "http://ocsp.example/ did not answer", now);
    expect(store.status(good, authority, now + 59_000)).toEqual({ kind: "unknown", isAskable: true, why: "http://ocsp.example/ did not answer" });
    expect(store.status(good, authority, now + 60_000).kind).toBe("unsettled");
    store.addList(ca.list(), [authority], now);
    expect(store.status(good, authority, now)).toEqual({ kind: "good" });
  });

  it("uses a list for what it is about only", () => {
    const cases = [
      ["endEntitiesOnly", "revoked"],
      ["authoritiesOnly", "unsettled"],
      // The certificate names another place.
      ["oneShard", "unsettled"],
    ] as const;
    for (const [extensions, kind] of cases) {
      const store = new RevocationStore();
      store.addList(ca.list({ extensions }), [authority], now);
      expect(store.status(bad, authority, now).kind, extensions).toBe(kind);
    }
    const sharded = readCertificate(ca.issue("sharded.example", ["crlDistributionPoints = URI:http://lists.example/shard-1.crl"]));
    const store = new RevocationStore();
    store.addList(ca.list({ extensions: "oneShard" }), [authority], now);
    expect(store.status(sharded, authority, now).kind).toBe("good");
  });

  it.each([
    ["indirect", /indirect/],
    ["strange", /critical extension/],
    ["delta", /delta/],
  ])("refuses a list that is %s", (extensions, sentence) => {
    expect(() => new RevocationStore().addList(ca.list({ extensions }), [authority], now)).toThrow(sentence);
  });

  it("takes the lists and answers of RSA and Ed25519 authorities", () => {
    for (const algorithm of [
      ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"],
      ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"],
    ]) {
      const other = new RevokingAuthority(algorithm);
      try {
        const [issuer, peer] = [readCertificate(other.certificate), readCertificate(other.issue("peer.example", where))];
        other.revoke("peer.example", "superseded");
        const [byList, byAnswer] = [new RevocationStore(), new RevocationStore()];
        byList.addList(other.list(), [issuer], now);
        byAnswer.addAnswer(other.answer(statusRequest(peer, issuer)), { certificate: peer, issuer }, now);
        for (const store of [byList, byAnswer]) expect(store.status(peer, issuer, now)).toMatchObject({ kind: "revoked", reason: "superseded" });
      } finally {
        other.remove();
      }
    }
  });
});

describe("hostile lists and answers", () => {
  it("cut anywhere, or with octets changed, are refused or are as they were, and fail in no other way", () => {
    const list = ca.list();
    const answer = ca.answer(statusRequest(bad, authority), "responder.example");
    const about = { certificate: bad, issuer: authority };
    const readers = [
      { octets: list, read: (der: Uint8Array) => void new RevocationStore().addList(der, [authority], now) },
      { octets: answer, read: (der: Uint8Array) => void new RevocationStore().addAnswer(der, about, now) },
    ];
    for (const { octets, read } of readers) {
      expect(outcome(() => read(octets))).toBe("taken");
      for (let length = 0; length < octets.length; length++)
        expect(
          outcome(() => read(octets.subarray(0, length))),
          `${length}`,
        ).toBe("refused");
      for (let at = 0; at < octets.length; at++)
        for (const bit of [1, 0x20, 0x80]) {
          const changed = Uint8Array.from(octets);
          changed[at]! ^= bit;
          outcome(() => read(changed));
        }
    }
  });

  it("with any octet of what is signed changed are refused", () => {
    const list = ca.list();
    for (let at = 8; at < list.length; at++) {
      const changed = Uint8Array.from(list);
      changed[at]! ^= 1;
      expect(
        outcome(() => void new RevocationStore().addList(changed, [authority], now)),
        `octet ${at}`,
      ).toBe("refused");
    }
  });

  it("of any octets are refused", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (octets) => {
        expect(outcome(() => void readRevocationList(octets))).toBe("refused");
        expect(outcome(() => void readStatusAnswer(octets, good, authority, now))).toBe("refused");
      }),
      { numRuns: 2_000, seed: 11 },
    );
  });
});

function outcome(read: () => void): "taken" | "refused" {
  try {
    read();
    return "taken";
  } catch (error) {
    if (!(error instanceof CryptoError)) throw error;
    return "refused";
  }
}
