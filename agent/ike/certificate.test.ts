import "reflect-metadata";
import * as x509 from "@peculiar/x509";
import { describe, expect, it } from "vitest";
import { linkConfigs, Pair } from "../testing/pair.ts";

x509.cryptoProvider.set(crypto);

const ALGORITHMS = {
  "ECDSA P-256": { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" },
  "ECDSA P-384": { name: "ECDSA", namedCurve: "P-384", hash: "SHA-384" },
  "RSA 2048": { name: "RSASSA-PKCS1-v1_5", modulusLength: 2048, publicExponent: Uint8Array.of(1, 0, 1), hash: "SHA-256" },
  Ed25519: { name: "Ed25519" },
} as const;
type AlgorithmName = keyof typeof ALGORITHMS;

const DAY_MS = 86_400_000;
const NOW = 1_800_000_000_000;

interface Authority {
  readonly der: Uint8Array;
  issue(name: string, validUntil?: number): Promise<{ id: string; chain: Uint8Array[]; privateKey: Uint8Array }>;
}

async function makeAuthority(algorithmName: AlgorithmName, authorityName = "Test authority"): Promise<Authority> {
  const algorithm = ALGORITHMS[algorithmName];
  const makeKeys = async () => (await crypto.subtle.generateKey(algorithm, true, ["sign", "verify"])) as CryptoKeyPair;
  const keys = await makeKeys();
  const root = await x509.X509CertificateGenerator.createSelfSigned({
    name: `CN=${authorityName}`,
    notBefore: new Date(NOW - 400 * DAY_MS),
    notAfter: new Date(NOW + 400 * DAY_MS),
    signingAlgorithm: algorithm,
    keys,
    extensions: [new x509.BasicConstraintsExtension(true, undefined, true), new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign, true)],
  });
  return {
    der: new Uint8Array(root.rawData),
    async issue(name, validUntil = NOW + 100 * DAY_MS) {
      const own = await makeKeys();
      const leaf = await x509.X509CertificateGenerator.create({
        subject: `CN=${name}`,
        issuer: root.subject,
        notBefore: new Date(NOW - 200 * DAY_MS),
        notAfter: new Date(validUntil),
        signingAlgorithm: algorithm,
        publicKey: own.publicKey,
        signingKey: keys.privateKey,
        extensions: [new x509.SubjectAlternativeNameExtension([{ type: "dns", value: name }])],
      });
      return { id: name, chain: [new Uint8Array(leaf.rawData)], privateKey: new Uint8Array(await crypto.subtle.exportKey("pkcs8", own.privateKey)) };
    },
  };
}

const credentials = (certificate: Awaited<ReturnType<Authority["issue"]>>, ...authorities: Authority[]) => ({
  credentials: { method: "certificate" as const, certificates: [certificate], use: certificate.id, trustedAuthorities: authorities.map((one) => one.der) },
});

function attempt(overrides: Parameters<typeof linkConfigs>[0]): Pair {
  const pair = new Pair(3);
  const configs = linkConfigs(overrides);
  pair.give(pair.b, { kind: "setLink", link: configs.b });
  pair.give(pair.a, { kind: "setLink", link: configs.a });
  pair.run(900);
  return pair;
}

describe("certificates", () => {
  for (const name of Object.keys(ALGORITHMS) as AlgorithmName[]) {
    it(`${name} authenticates both ends`, async () => {
      const authority = await makeAuthority(name);
      const pair = attempt({ a: credentials(await authority.issue("a.example"), authority), b: credentials(await authority.issue("b.example"), authority) });
      expect([...pair.a.failures(), ...pair.b.failures()]).toEqual([]);
      expect([pair.a.link().state, pair.b.link().state]).toEqual(["up", "up"]);
      expect(pair.a.link().ikeSas[0]!.credentialId).toBe("a.example");
    });
  }

  it("a distinguished name is an identity of the subject", async () => {
    const authority = await makeAuthority("ECDSA P-256");
    const dn = { kind: "dn" as const, name: "CN=a.example" };
    const pair = attempt({
      a: { ...credentials(await authority.issue("a.example"), authority), localIdentity: dn },
      b: { ...credentials(await authority.issue("b.example"), authority), remoteIdentity: dn },
    });
    expect([pair.a.link().state, pair.b.link().state]).toEqual(["up", "up"]);
  });

  it("a foreign authority, an expired certificate and another name are refused with the reason", async () => {
    const [authority, foreign] = [await makeAuthority("ECDSA P-256"), await makeAuthority("ECDSA P-256")];
    const good = credentials(await authority.issue("b.example"), authority);
    const untrusted = attempt({ a: credentials(await foreign.issue("a.example"), authority), b: good });
    const expired = attempt({ a: credentials(await authority.issue("a.example", NOW - DAY_MS), authority), b: good });
    const other = attempt({ a: credentials(await authority.issue("c.example"), authority), b: good });
    for (const pair of [untrusted, expired, other]) {
      expect(pair.b.inbound.size).toBe(0);
      expect(pair.a.failures()[0]).toMatch(/^AUTHENTICATION_FAILED: The peer refused to authenticate/);
    }
    expect(untrusted.b.failures()[0]).toMatch(/trust|authority|issue/i);
    expect(expired.b.failures()[0]).toMatch(/expire/i);
    expect(other.b.failures()[0]).toMatch(/a\.example/);
  });

  it("the machine's clock, set while the gateway runs, decides whether a certificate is valid, and nothing else", async () => {
    const authority = await makeAuthority("ECDSA P-256");
    const configs = linkConfigs({
      a: credentials(await authority.issue("a.example"), authority),
      b: credentials(await authority.issue("b.example"), authority),
    });
    const beforeAll = -300 * DAY_MS;
    const pair = new Pair(3);
    pair.b.wallAheadMs = beforeAll;
    pair.give(pair.b, { kind: "setLink", link: configs.b });
    pair.give(pair.a, { kind: "setLink", link: configs.a });
    pair.run(900);
    expect(pair.b.failures()[0]).toMatch(/not valid before/);
    pair.b.wallAheadMs = 0;
    expect(pair.runUntil(() => pair.bothUp(), 120_000)).toBe(true);
    const before = pair.b.link().ikeSas[0]!;
    pair.b.wallAheadMs = beforeAll;
    pair.run(60_000);
    expect(pair.b.link().ikeSas[0]).toMatchObject({ id: before.id, rekeyAt: before.rekeyAt, state: "established" });
  });

  it("a key that does not belong to the certificate is refused", async () => {
    const authority = await makeAuthority("ECDSA P-256");
    const [own, stolen] = [await authority.issue("a.example"), await authority.issue("a.example")];
    const pair = attempt({
      a: credentials({ ...own, privateKey: stolen.privateKey }, authority),
      b: credentials(await authority.issue("b.example"), authority),
    });
    expect(pair.b.failures()[0]).toMatch(/signature/i);
    expect(pair.b.inbound.size).toBe(0);
  });

  it("a link with a key beside it, between the same gateways and identities, takes nothing of it", async () => {
    const authority = await makeAuthority("ECDSA P-256");
    const withKey = linkConfigs({ both: { id: "key" } });
    const configs = linkConfigs({
      a: credentials(await authority.issue("a.example"), authority),
      b: credentials(await authority.issue("b.example"), authority),
    });
    const pair = new Pair(3);
    for (const link of [withKey.b, configs.b]) pair.give(pair.b, { kind: "setLink", link });
    for (const link of [withKey.a, configs.a]) pair.give(pair.a, { kind: "setLink", link });
    pair.run(2_000);
    expect([...pair.a.failures(), ...pair.b.failures()]).toEqual([]);
    expect(["key", "link"].map((id) => [pair.a.link(id).state, pair.b.link(id).state])).toEqual([
      ["up", "up"],
      ["up", "up"],
    ]);
  });

  it("one end with a key and the other with a certificate say so", async () => {
    const authority = await makeAuthority("ECDSA P-256");
    const pair = attempt({ a: credentials(await authority.issue("a.example"), authority) });
    expect(pair.b.failures()[0]).toBe("AUTHENTICATION_FAILED: The peer authenticates with DIGITAL_SIGNATURE, this side expects a pre-shared key.");
  });

  it("a private key that cannot be used is this side's failure, not a crash", async () => {
    const authority = await makeAuthority("ECDSA P-256");
    const own = await authority.issue("a.example");
    const pair = attempt({
      a: credentials({ ...own, privateKey: Uint8Array.of(1, 2, 3) }, authority),
      b: credentials(await authority.issue("b.example"), authority),
    });
    expect(pair.a.failures()[0]).toMatch(/^OWN_CREDENTIAL: This side cannot prove who it is/);
  });

  it("a chain too long for the path goes in fragments, also when one is lost", async () => {
    const authority = await makeAuthority("RSA 2048");
    const [a, b] = [await authority.issue("a.example"), await authority.issue("b.example")];
    const padded = (own: typeof a) => credentials({ ...own, chain: [own.chain[0]!, authority.der, authority.der] }, authority);
    const pair = attempt({ a: padded(a), b: padded(b) });
    expect([pair.a.link().state, pair.b.link().state]).toEqual(["up", "up"]);
    expect(Math.max(...pair.link.sent.map((packet) => packet.bytes.length))).toBeLessThanOrEqual(1_228);
    expect(pair.link.sent.length).toBeGreaterThan(6);
    for (let lost = 2; lost < 8; lost++) {
      const lossy = new Pair(4);
      lossy.link.drops = (packet) => packet.index === lost;
      const configs = linkConfigs({ a: padded(a), b: padded(b) });
      lossy.give(lossy.b, { kind: "setLink", link: configs.b });
      lossy.give(lossy.a, { kind: "setLink", link: configs.a });
      expect(
        lossy.runUntil(() => lossy.bothUp(), 20_000),
        `packet ${lost}`,
      ).toBe(true);
    }
  });
});

describe("of two certificates", () => {
  type Own = Awaited<ReturnType<Authority["issue"]>>;
  const two = (certificates: readonly Own[], use: string, ...authorities: Authority[]) => ({
    credentials: { method: "certificate" as const, certificates, use, trustedAuthorities: authorities.map((one) => one.der) },
  });
  const named = (own: Own, id: string, ...behind: Authority[]): Own => ({ ...own, id, chain: [...own.chain, ...behind.map((one) => one.der)] });

  /** `mine` shows, `theirs` asks; `a` begins. Each end's account of what was shown. */
  async function shown(asker: "a" | "b", options: { readonly asked: readonly ("old" | "new")[]; readonly withRoots: boolean; readonly use: "old" | "new" }) {
    const [old, fresh] = [await makeAuthority("ECDSA P-256", "Old authority"), await makeAuthority("ECDSA P-256", "New authority")];
    const [mine, theirs] = asker === "b" ? ["a", "b"] : ["b", "a"];
    const certificates = [
      named(await old.issue(`${mine}.example`), "old", ...(options.withRoots ? [old] : [])),
      named(await fresh.issue(`${mine}.example`), "new", ...(options.withRoots ? [fresh] : [])),
    ];
    const asked = options.asked.map((name) => (name === "old" ? old : fresh));
    const pair = attempt({ [mine]: two(certificates, options.use, old), [theirs]: credentials(await old.issue(`${theirs}.example`), ...asked) });
    const side = mine === "a" ? pair.a : pair.b;
    return { state: side.link().state, credentialId: side.link().ikeSas[0]?.credentialId, choices: side.trace.map((entry) => entry.summary) };
  }

  for (const asker of ["a", "b"] as const) {
    const who = asker === "a" ? "responder" : "initiator";
    it(`the ${who} shows the one whose authority the peer asks for, whichever is in use`, async () => {
      for (const use of ["old", "new"] as const) {
        const { state, credentialId, choices } = await shown(asker, { asked: ["old"], withRoots: true, use });
        expect([state, credentialId]).toEqual(["up", "old"]);
        const told = 'The peer asks for a certificate of another authority than that of "new": "old" is shown.';
        expect(choices.includes(told)).toBe(use === "new");
      }
    });

    it(`the ${who} shows the one in use when the peer asks for both, also where it does not know its authority`, async () => {
      for (const withRoots of [true, false]) {
        for (const use of ["old", "new"] as const)
          expect(await shown(asker, { asked: ["old", "new"], withRoots, use })).toMatchObject({ state: "up", credentialId: use });
      }
    });
  }
});

describe("a peer's certificate that ends while the link is up", () => {
  const HOUR_MS = 3_600_000;

  async function upFor(lifeMs: number) {
    const authority = await makeAuthority("ECDSA P-256");
    const good = credentials(await authority.issue("a.example"), authority);
    const ending = (end: number) => authority.issue("b.example", end).then((own) => credentials(own, authority));
    const pair = new Pair(6);
    const set = async (end: number) => {
      pair.give(pair.b, { kind: "setLink", link: { ...linkConfigs({ b: await ending(end) }).b, initiate: "respond" } });
    };
    await set(NOW + lifeMs);
    pair.give(pair.a, { kind: "setLink", link: linkConfigs({ a: good }).a });
    pair.run(900);
    expect([pair.a.link().state, pair.b.link().state]).toEqual(["up", "up"]);
    return { pair, set };
  }

  it("ends the IKE SA with it, rekeyed or not, and is not let in again", async () => {
    const { pair } = await upFor(HOUR_MS);
    pair.give(pair.b, { kind: "rekey", linkId: "link", what: "ike" });
    pair.run(HOUR_MS - 20_000);
    expect(pair.a.link().state).toBe("up");
    pair.run(30_000);
    expect([pair.a.inbound.size, pair.a.outbound.size]).toEqual([0, 0]);
    expect(new Set(pair.a.failures())).toContain(
      "AUTHENTICATION_FAILED: b.example is refused: the certificate of CN=b.example expired on 2027-01-15 09:00:00 UTC (it is 2027-01-15 09:00:00 UTC here).",
    );
    pair.run(300_000);
    expect([pair.a.link().state === "up", pair.a.inbound.size, pair.b.inbound.size]).toEqual([false, 0, 0]);
    expect([...pair.a.bookkeeping, ...pair.b.bookkeeping]).toEqual([]);
  });

  it("is authenticated anew before that, and a certificate that it has by then goes on without a break", async () => {
    const { pair, set } = await upFor(HOUR_MS);
    const first = pair.a.link().ikeSas[0]!.id;
    await set(NOW + 30 * DAY_MS);
    let wasDown = false;
    pair.afterStep = () => {
      wasDown ||= [...pair.a.policies.values()].some((policy) => policy.action.kind !== "protect");
    };
    pair.run(2 * HOUR_MS);
    expect([wasDown, pair.a.failures(), pair.b.failures()]).toEqual([false, [], []]);
    expect([pair.a.link().state, pair.a.link().ikeSas.length, pair.a.link().ikeSas[0]!.id === first]).toEqual(["up", 1, false]);
  });

  it("ends the IKE SA when the machine's clock is set past it", async () => {
    const { pair } = await upFor(30 * DAY_MS);
    pair.a.wallAheadMs = 31 * DAY_MS;
    // It is looked at every hour.
    pair.run(HOUR_MS + 20_000);
    expect(pair.a.failures()[0]).toContain("b.example is refused: the certificate of CN=b.example expired on 2027-02-14");
    expect([pair.a.outbound.size, pair.a.link().state === "up"]).toEqual([0, false]);
  });
});
