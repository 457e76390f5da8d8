import { beforeAll, describe, expect, it } from "vitest";
import type { Certificate } from "../crypto/certificate.ts";
import type { RevocationSource, RevocationStatus } from "../crypto/revocation.ts";
import { dayMs, type MadeCertificate, makeCertificate, privateKeyOf } from "../testing/certificates.ts";
import { linkConfigs, Pair } from "../testing/pair.ts";
import type { Credentials, EndpointOptions, RevocationPolicy } from "./endpoint-types.ts";

/** The pair's clock begins here. */
const NOW = 1_800_000_000_000;
const dates = { notBefore: NOW - dayMs, notAfter: NOW + 90 * dayMs };

/** What the gateway knows, as the test says it. */
class Known implements RevocationSource {
  readonly asked: string[] = [];
  answer: "unsettled" | "good" | "revoked" | "unanswered" | "nobody" = "unsettled";

  status(certificate: Certificate, issuer: Certificate): RevocationStatus {
    this.asked.push(certificate.subjectText);
    switch (this.answer) {
      case "unsettled":
        return { kind: "unsettled", query: { certificate, issuer, responders: ["http://ocsp.example/"], lists: [] } };
      case "good":
        return { kind: "good" };
      case "revoked":
        return { kind: "revoked", at: new Date(NOW - dayMs), reason: "keyCompromise" };
      case "unanswered":
        return { kind: "unknown", isAskable: true, why: "http://ocsp.example/ did not answer" };
      case "nobody":
        return { kind: "unknown", isAskable: false, why: "nobody can be asked" };
    }
  }
}

let root: MadeCertificate;
let middle: MadeCertificate;
let a: MadeCertificate;
let b: MadeCertificate;

beforeAll(async () => {
  root = await makeCertificate({ name: "CN=Root", authority: { pathLength: null }, ...dates });
  middle = await makeCertificate({ name: "CN=Middle", issuer: root, authority: { pathLength: 0 }, ...dates });
  const leaf = (name: string) => makeCertificate({ name: `CN=${name}`, issuer: middle, alternativeNames: [{ type: "dns", value: name }], ...dates });
  [a, b] = [await leaf("a.example"), await leaf("b.example")];
});

async function credentialsOf(own: MadeCertificate, revocation: RevocationPolicy): Promise<{ credentials: Credentials }> {
  const certificate = { id: own.name, chain: [own.der, middle.der], privateKey: await privateKeyOf(own) };
  return { credentials: { method: "certificate", certificates: [certificate], use: own.name, trustedAuthorities: [root.der], revocation } };
}

/** `a` begins; `b` checks with this policy, or `a` does. */
async function begin(policy: RevocationPolicy, who: "a" | "b" = "b", options: Partial<EndpointOptions> = {}): Promise<{ pair: Pair; known: Known }> {
  const known = new Known();
  const pair = new Pair(5, who === "a" ? { a: { ...options, revocation: known }, b: options } : { a: options, b: { ...options, revocation: known } });
  const policyOf = (side: "a" | "b") => (side === who ? policy : "off");
  const configs = linkConfigs({ a: await credentialsOf(a, policyOf("a")), b: await credentialsOf(b, policyOf("b")) });
  pair.give(pair.b, { kind: "setLink", link: { ...configs.b, initiate: "respond" } });
  pair.give(pair.a, { kind: "setLink", link: configs.a });
  return { pair, known };
}

const states = (pair: Pair) => [pair.a.link().state, pair.b.link().state];

describe("a handshake whose certificate is asked about", () => {
  for (const who of ["b", "a"] as const) {
    it(`waits at the ${who === "b" ? "responder" : "initiator"} until the answer is there, and then goes on as usual`, async () => {
      const { pair, known } = await begin("strict", who);
      const side = pair[who];
      pair.run(2_500);
      expect(side.link().ikeSas.filter((sa) => sa.state === "established")).toEqual([]);
      // Of the chain: the peer's own and the intermediate, never the one that is trusted. The repeated message asks again.
      expect(new Set(side.questions.map((query) => query.certificate.subjectText))).toEqual(
        new Set([who === "b" ? "CN=a.example" : "CN=b.example", "CN=Middle"]),
      );
      expect(side.questions.length).toBeGreaterThan(2);
      known.answer = "good";
      pair.give(side, { kind: "revocationChanged" });
      pair.run(500);
      expect(states(pair)).toEqual(["up", "up"]);
      expect([pair.a, pair.b].map((one) => [one.inbound.size, one.outbound.size, one.link().ikeSas.length])).toEqual([
        [1, 1, 1],
        [1, 1, 1],
      ]);
      expect([...pair.a.failures(), ...pair.b.failures(), ...pair.a.bookkeeping, ...pair.b.bookkeeping]).toEqual([]);
    });
  }

  it("waits in fragments as well", async () => {
    const { pair, known } = await begin("strict", "b", { largestMessage: 400 });
    pair.run(900);
    expect(pair.b.questions.length).toBeGreaterThan(0);
    known.answer = "good";
    pair.give(pair.b, { kind: "revocationChanged" });
    pair.run(500);
    expect(states(pair)).toEqual(["up", "up"]);
  });

  it("waits again when nothing has come of it yet", async () => {
    const { pair, known } = await begin("strict");
    pair.run(900);
    pair.give(pair.b, { kind: "revocationChanged" });
    expect(pair.b.link().ikeSas).toEqual([]);
    known.answer = "good";
    pair.give(pair.b, { kind: "revocationChanged" });
    pair.run(500);
    expect(states(pair)).toEqual(["up", "up"]);
  });

  it("leaves nothing behind when the peer has gone away meanwhile", async () => {
    const { pair, known } = await begin("strict");
    pair.run(900);
    pair.give(pair.a, { kind: "removeLink", linkId: "link" });
    pair.run(120_000);
    known.answer = "good";
    pair.give(pair.b, { kind: "revocationChanged" });
    expect([pair.b.engine.held.size, pair.b.engine.ikeSas.size, pair.b.inbound.size]).toEqual([0, 0, 0]);
  });

  it("asks about nobody's certificate that is refused anyway, and none where the link does not want it", async () => {
    const stranger = await makeCertificate({ name: "CN=Stranger", authority: { pathLength: null }, ...dates });
    const { pair, known } = await begin("soft");
    const configs = linkConfigs({
      a: {},
      b: { credentials: { ...(await credentialsOf(b, "soft")).credentials, trustedAuthorities: [stranger.der] } as Credentials },
    });
    pair.give(pair.b, { kind: "setLink", link: { ...configs.b, initiate: "respond" } });
    pair.run(2_000);
    expect([known.asked, pair.b.questions]).toEqual([[], []]);
    const off = await begin("off");
    off.pair.run(900);
    expect([states(off.pair), off.known.asked]).toEqual([["up", "up"], []]);
  });
});

describe("a peer", () => {
  it("whose certificate is revoked is refused, with the date and the reason, by either policy and either end", async () => {
    for (const policy of ["soft", "strict"] as const)
      for (const who of ["a", "b"] as const) {
        const { pair, known } = await begin(policy, who);
        known.answer = "revoked";
        pair.run(900);
        expect(states(pair)).not.toContain("up");
        expect(pair[who].failures()[0]).toMatch(
          /^AUTHENTICATION_FAILED: .* is refused: the certificate of CN=[ab]\.example was revoked by its authority on 2027-01-14 \(keyCompromise\)\.$/,
        );
      }
  });

  it("of whom it cannot be found out is let in softly, which the trace says, and refused strictly", async () => {
    const soft = await begin("soft");
    soft.known.answer = "unanswered";
    soft.pair.run(900);
    expect(states(soft.pair)).toEqual(["up", "up"]);
    const findings = soft.pair.b.trace.filter((entry) => entry.detail["finding"] === "REVOCATION_UNKNOWN").map((entry) => entry.summary);
    expect(findings[0]).toContain("whether the certificate of CN=a.example is revoked could not be found out: http://ocsp.example/ did not answer");
    const strict = await begin("strict");
    strict.known.answer = "unanswered";
    strict.pair.run(900);
    expect(states(strict.pair)).not.toContain("up");
    expect(strict.pair.b.failures()[0]).toContain("did not answer, and this link insists on it");
  });

  it("whose authority revokes nothing is let in softly without a word, and refused strictly", async () => {
    const soft = await begin("soft");
    soft.known.answer = "nobody";
    soft.pair.run(900);
    expect(states(soft.pair)).toEqual(["up", "up"]);
    expect(soft.pair.b.trace.some((entry) => entry.detail["finding"] === "REVOCATION_UNKNOWN")).toBe(false);
    const strict = await begin("strict");
    strict.known.answer = "nobody";
    strict.pair.run(900);
    expect(strict.pair.b.failures()[0]).toContain("nobody can be asked");
  });

  it("that is revoked while it is up loses its SAs, and is not let in again", async () => {
    const { pair, known } = await begin("soft");
    known.answer = "good";
    pair.run(900);
    pair.give(pair.b, { kind: "rekey", linkId: "link", what: "ike" });
    pair.run(900);
    expect(states(pair)).toEqual(["up", "up"]);
    known.answer = "revoked";
    pair.give(pair.b, { kind: "revocationChanged" });
    pair.run(60_000);
    expect(states(pair)).not.toContain("up");
    expect([pair.a.outbound.size, pair.b.inbound.size]).toEqual([0, 0]);
    expect(pair.b.failures()[0]).toContain("CN=a.example was revoked");
    expect(pair.b.failures().length).toBeGreaterThan(1);
    expect([...pair.a.bookkeeping, ...pair.b.bookkeeping]).toEqual([]);
  });
});
