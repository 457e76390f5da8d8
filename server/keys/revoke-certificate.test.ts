import { X509Certificate } from "node:crypto";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { readCertificate } from "../../agent/crypto/certificate.ts";
import { RevocationStore } from "../../agent/crypto/revocation.ts";
import { statedLists } from "../../agent/runtime/stated-lists.ts";
import { OpenSsl } from "../../agent/testing/openssl.ts";
import type { DesiredState } from "../../contract/desired-state.ts";
import { database } from "../db/client.ts";
import { Conflict, NotFound } from "../errors.ts";
import { readLink } from "../links/read-link.ts";
import { createLink } from "../links/save-link.ts";
import { compileDesiredState } from "../publishing/compile-desired-state.ts";
import { requestLinkRun } from "../rotation/request-run.ts";
import { rotateLink } from "../rotation/rotate-link.ts";
import { createSite } from "../sites/save-site.ts";
import { owner, startTestDatabase } from "../testing/database.ts";
import { createTestLink, linkFormOf } from "../testing/link-forms.ts";
import { listKeys } from "./list-keys.ts";
import { renewLists } from "./revocation-list.ts";
import { reissueCertificate, revokeCertificate } from "./revoke-certificate.ts";

const openssl = new OpenSsl();
let stop: () => Promise<void>;
let siteA: string;
let siteB: string;
let linkId: string;

beforeAll(async () => {
  ({ stop } = await startTestDatabase());
});
afterAll(async () => {
  openssl.remove();
  await stop();
});

beforeEach(async () => {
  await database().link.deleteMany();
  await database().site.deleteMany();
  await database().authority.deleteMany();
  siteA = (await createSite(owner, { name: "Amsterdam", networks: ["10.1.0.0/24"], address: "192.0.2.1" })).id;
  siteB = (await createSite(owner, { name: "Berlin", networks: ["10.2.0.0/24"], address: "198.51.100.1" })).id;
  linkId = await createTestLink(siteA, siteB, { method: "certificate" });
});

const certificateOf = (end: "A" | "B") => database().credential.findFirstOrThrow({ where: { linkId, end, state: "active" } });
const told = async (siteId: string): Promise<DesiredState> =>
  (await compileDesiredState((await database().gateway.findFirstOrThrow({ where: { siteId } })).id)).state;

/** What a gateway that is told this finds of a certificate, with its own reader of lists. */
async function found(state: DesiredState, certificatePem: string, at = Date.now()) {
  const { lists, authorities } = statedLists(state);
  const store = new RevocationStore();
  for (const list of lists) store.addList(list, authorities, at);
  const authority = await database().authority.findFirstOrThrow({ where: { purpose: "ipsec" } });
  return store.status(derOf(certificatePem), derOf(authority.certificatePem), at).kind;
}

const derOf = (pem: string) => readCertificate(new Uint8Array(new X509Certificate(pem).raw));

describe("revoking a link certificate", () => {
  it("tells both gateways that it counts no more, gives its end a new one, and leaves the other end's alone", async () => {
    const [before, other] = [await certificateOf("A"), await certificateOf("B")];
    expect(await told(siteA)).not.toHaveProperty("revocationLists");
    await revokeCertificate(owner, before.id);
    const [after, kept] = [await certificateOf("A"), await certificateOf("B")];
    expect([after.id === before.id, kept.id]).toEqual([false, other.id]);
    for (const state of [await told(siteA), await told(siteB)]) {
      expect(await found(state, before.certificatePem ?? "")).toBe("revoked");
      expect(await found(state, after.certificatePem ?? "")).toBe("good");
      expect(await found(state, other.certificatePem ?? "")).toBe("good");
    }
    const { authentication } = (await told(siteA)).links[0] ?? {};
    expect(authentication).toMatchObject({ use: after.id, certificates: [{ id: after.id }] });
    expect(await database().credential.findUnique({ where: { id: before.id } })).toMatchObject({ state: "retired", secretId: null });
  });

  it("without a new one leaves the end with what everybody refuses, says so of the link, and only then issues the next", async () => {
    const before = await certificateOf("A");
    await revokeCertificate(owner, before.id, false);
    expect((await certificateOf("A")).id).toBe(before.id);
    expect(await found(await told(siteB), before.certificatePem ?? "")).toBe("revoked");
    const { halt } = await readLink(owner, linkId);
    expect(halt).toEqual({
      sentence: "The certificate of Amsterdam was revoked and Berlin refuses it: the tunnel stays down until a new one is issued.",
      credentialId: before.id,
      enrol: null,
    });
    const keys = (await listKeys(owner)).filter((each) => each.usedBy.some(({ href }) => href === `/links/${linkId}`));
    expect(keys.map((key) => [key.name.split(", ")[1], key.state, key.isRevocable, key.isReissuable, key.linkId]).toSorted()).toEqual([
      ["Amsterdam", "revoked", false, true, null],
      ["Berlin", "valid", true, false, null],
    ]);
    await expect(revokeCertificate(owner, before.id)).rejects.toThrow(/revoked already/);
    await expect(reissueCertificate(owner, (await certificateOf("B")).id)).rejects.toThrow(/is not revoked/);
    await reissueCertificate(owner, before.id);
    expect(await found(await told(siteB), (await certificateOf("A")).certificatePem ?? "")).toBe("good");
    expect((await readLink(owner, linkId)).halt).toBeNull();
  });

  it("leaves a rotation nothing to do until a new one is issued", async () => {
    await revokeCertificate(owner, (await certificateOf("A")).id, false);
    await requestLinkRun(owner, linkId, false);
    const { id } = await database().rotationRun.findFirstOrThrow({ where: { linkId } });
    await rotateLink(id);
    expect(await database().rotationRun.findUniqueOrThrow({ where: { id } })).toMatchObject({
      state: "skipped",
      sentence: expect.stringMatching(/^The certificate of Amsterdam for .* is revoked, .*issue a new one under Keys\.$/),
    });
  });

  it("makes a list that OpenSSL reads, verifies, numbers and finds the certificate in", async () => {
    const { certificatePem } = await certificateOf("A");
    await revokeCertificate(owner, (await certificateOf("A")).id);
    await revokeCertificate(owner, (await certificateOf("B")).id);
    const authority = await database().authority.findFirstOrThrow({ where: { purpose: "ipsec" } });
    openssl.write("ca.pem", authority.certificatePem);
    openssl.write("list.pem", authority.revocationListPem ?? "");
    openssl.write("own.pem", certificatePem ?? "");
    openssl.write("fresh.pem", (await certificateOf("A")).certificatePem ?? "");
    const text = openssl.run("crl", "-in", "list.pem", "-CAfile", "ca.pem", "-verify", "-noout", "-text").toString();
    expect(text.match(/Serial Number: /g)).toHaveLength(2);
    expect(text).toMatch(/X509v3 CRL Number: \s+2\b/);
    expect(text).toMatch(/X509v3 Authority Key Identifier/);
    expect(text).toMatch(/Key Compromise/);
    openssl.run("verify", "-crl_check", "-CAfile", "ca.pem", "-CRLfile", "list.pem", "fresh.pem");
    expect(() => openssl.run("verify", "-crl_check", "-CAfile", "ca.pem", "-CRLfile", "list.pem", "own.pem")).toThrow(/certificate revoked/);
  });

  it("is remembered when the link is gone, until the certificate would have ended", async () => {
    const { id, certificatePem } = await certificateOf("A");
    await revokeCertificate(owner, id);
    await database().link.deleteMany();
    await createTestLink(siteA, siteB, { method: "certificate" });
    expect(await found(await told(siteB), certificatePem ?? "")).toBe("revoked");
    const listAt = async (days: number) => {
      await renewLists(new Date(Date.now() + days * 86_400_000));
      return (await database().authority.findFirstOrThrow({ where: { purpose: "ipsec" } })).crlNumber;
    };
    const revisions = async () => (await database().gateway.findMany()).map((gateway) => gateway.desiredRevision);
    const before = await revisions();
    expect([await listAt(29), await revisions()]).toEqual([1, before]);
    expect([await listAt(31), await revisions()]).toEqual([2, before.map((revision) => revision + 1)]);
    expect(await found(await told(siteB), certificatePem ?? "", Date.now() + 31 * 86_400_000)).toBe("revoked");
    expect(await listAt(120)).toBe(3);
    const { revocationListPem } = await database().authority.findFirstOrThrow({ where: { purpose: "ipsec" } });
    openssl.write("old.pem", revocationListPem ?? "");
    expect(openssl.run("crl", "-in", "old.pem", "-noout", "-text").toString()).toContain("No Revoked Certificates");
  });

  it("is refused for keys that are not the console's to revoke, and while they are being replaced", async () => {
    const psk = await createLink(owner, linkFormOf(siteA, siteB, { name: "By key", networksA: ["10.11.0.0/24"], networksB: ["10.12.0.0/24"] }));
    const key = await database().credential.findFirstOrThrow({ where: { linkId: psk.id } });
    await expect(revokeCertificate(owner, key.id)).rejects.toThrow(Conflict);
    await expect(revokeCertificate(owner, "nothing")).rejects.toThrow(NotFound);
    expect((await listKeys(owner)).filter((each) => each.isRevocable).map((each) => each.linkId)).toEqual([linkId, linkId]);
    const { id } = await certificateOf("A");
    await requestLinkRun(owner, linkId, false);
    await expect(revokeCertificate(owner, id)).rejects.toThrow(/are being replaced/);
    expect(await database().revokedCertificate.count()).toBe(0);
  });
});

it("a link that insists on knowing is given a list that is empty so far, and only then", async () => {
  expect(await told(siteA)).not.toHaveProperty("revocationLists");
  await database().link.deleteMany();
  await createTestLink(siteA, siteB, { method: "certificate", revocation: "strict" });
  linkId = (await database().link.findFirstOrThrow()).id;
  expect(await found(await told(siteA), (await certificateOf("B")).certificatePem ?? "")).toBe("good");
});
