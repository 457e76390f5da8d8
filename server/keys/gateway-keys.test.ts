import { X509Certificate } from "node:crypto";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { database } from "../db/client.ts";
import { type RunningHub, startHub } from "../hub/start-hub.ts";
import { linkConfig } from "../links/link-config.ts";
import { readLink } from "../links/read-link.ts";
import { deleteLink } from "../links/save-link.ts";
import { compileDesiredState } from "../publishing/compile-desired-state.ts";
import { createEnrolmentToken, revokeGateway } from "../sites/enrolment.ts";
import { createSite } from "../sites/save-site.ts";
import { owner, startTestDatabase } from "../testing/database.ts";
import { enrol } from "../testing/fake-gateway.ts";
import { createTestLink } from "../testing/link-forms.ts";
import { createCredentials } from "./credentials.ts";
import { listKeys } from "./list-keys.ts";
import { listRevoked } from "./list-revoked.ts";
import { reissueCertificate } from "./revoke-certificate.ts";

/*
 * What a gateway that was revoked could prove itself with counts no more at its peers, and is made anew when it is enrolled again. Certificates of a
 * link that was deleted count no more either.
 */

let stop: () => Promise<void>;
let hub: RunningHub;
let siteA: string;
let siteB: string;

beforeAll(async () => {
  ({ stop } = await startTestDatabase());
  hub = await startHub({ port: 0, bind: "127.0.0.1", unixPath: null, log: () => {} });
});
afterAll(async () => {
  await hub?.close();
  await stop?.();
});

beforeEach(async () => {
  await database().link.deleteMany();
  await database().site.deleteMany();
  await database().authority.deleteMany({ where: { purpose: "ipsec" } });
  siteA = (await createSite(owner, { name: "Amsterdam", networks: ["10.1.0.0/24"], address: "192.0.2.1" })).id;
  siteB = (await createSite(owner, { name: "Berlin", networks: ["10.2.0.0/24"], address: "198.51.100.1" })).id;
  await enrolAgain();
});

const enrolAgain = async () => enrol(hub.port, (await createEnrolmentToken(owner, siteA)).token);
const gatewayAt = (siteId: string) => database().gateway.findFirstOrThrow({ where: { siteId } });
const told = async (siteId: string) => compileDesiredState((await gatewayAt(siteId)).id);
const inUse = (linkId: string, end: "A" | "B" | null) => database().credential.findFirstOrThrow({ where: { linkId, end, state: "active" } });
const revokedSerials = async () => (await database().revokedCertificate.findMany()).map(({ serial }) => serial).toSorted();
const serialsOf = (rows: readonly { certificatePem: string | null }[]) =>
  rows.map(({ certificatePem }) => new X509Certificate(certificatePem ?? "").serialNumber.toLowerCase()).toSorted();

describe("revoking a gateway whose links have certificates", () => {
  it("revokes those of its ends, also those not in use any more, and no other's; each peer is told once", async () => {
    const linkId = await createTestLink(siteA, siteB, { method: "certificate" });
    const other = { name: "Second", networksA: ["10.11.0.0/24"], networksB: ["10.12.0.0/24"] };
    // At the second end of this one.
    await createTestLink(siteB, siteA, { ...other, method: "certificate" });
    await database().credential.updateMany({ where: { link: { name: "Second" }, end: "B" }, data: { state: "retired" } });
    const own = await database().credential.findMany({
      where: {
        OR: [
          { linkId, end: "A" },
          { link: { name: "Second" }, end: "B" },
        ],
      },
    });
    const before = (await gatewayAt(siteB)).desiredRevision;
    await revokeGateway(owner, siteA);
    expect(await revokedSerials()).toEqual(serialsOf(own));
    expect((await gatewayAt(siteB)).desiredRevision).toBe(before + 1);
    expect((await told(siteB)).state.revocationLists).toHaveLength(1);
    expect((await readLink(owner, linkId)).halt).toEqual({
      sentence: "The gateway of Amsterdam was revoked and Berlin refuses its certificate: the tunnel stays down until Amsterdam is enrolled again.",
      credentialId: null,
      enrol: { siteId: siteA, siteName: "Amsterdam" },
    });
    await expect(reissueCertificate(owner, (await inUse(linkId, "A")).id)).rejects.toThrow(/The gateway of Amsterdam is revoked\. Enrol it again/);
  });

  it("issues new ones when it is enrolled again, and the other end keeps its own", async () => {
    const linkId = await createTestLink(siteA, siteB, { method: "certificate" });
    const [before, kept] = [await inUse(linkId, "A"), await inUse(linkId, "B")];
    await revokeGateway(owner, siteA);
    const revoked = await revokedSerials();
    await enrolAgain();
    const after = await inUse(linkId, "A");
    expect(after.id).not.toBe(before.id);
    expect(revoked).not.toContain(serialsOf([after])[0]);
    expect((await inUse(linkId, "B")).id).toBe(kept.id);
    expect(await database().credential.findUnique({ where: { id: before.id } })).toMatchObject({ state: "retired", secretId: null });
    expect((await told(siteA)).state.links[0]?.authentication).toMatchObject({ use: after.id, certificates: [{ id: after.id }] });
    expect((await readLink(owner, linkId)).halt).toBeNull();
  });
});

describe("revoking a gateway whose links have a pre-shared key", () => {
  it("tells its peer of the key no more, with the reason, and both of another once it is enrolled again", async () => {
    const linkId = await createTestLink(siteA, siteB);
    const before = await inUse(linkId, null);
    await revokeGateway(owner, siteA);
    const { state, refused } = await told(siteB);
    expect(state.links).toEqual([]);
    expect(refused).toEqual([{ linkId, reason: expect.stringMatching(/^The gateway of Amsterdam was revoked/) }]);
    expect((await readLink(owner, linkId)).halt?.sentence).toMatch(
      /^The gateway of Amsterdam was revoked and Berlin does not accept its pre-shared key any more/,
    );
    const keyOfLink = async () => (await listKeys(owner)).find(({ id }) => id === before.id);
    expect(await keyOfLink()).toMatchObject({ state: "withdrawn", linkId: null });
    await enrolAgain();
    const after = await inUse(linkId, null);
    expect(after.fingerprint).not.toBe(before.fingerprint);
    for (const site of [siteA, siteB]) expect((await told(site)).state.links[0]?.authentication).toMatchObject({ keys: [{ id: after.id }], use: after.id });
  });

  it("leaves a third-party peer's key alone, which cannot be replaced from here, and says so", async () => {
    const peer = { kind: "third-party", name: "Partner", address: "203.0.113.7", identity: "partner.example" };
    const linkId = await createTestLink(siteA, siteB, { peer, secret: "a key that both have" });
    const before = await inUse(linkId, null);
    await revokeGateway(owner, siteA);
    expect((await readLink(owner, linkId)).halt?.sentence).toMatch(/^The gateway of Amsterdam was revoked, and Partner cannot be told from here/);
    await enrolAgain();
    expect((await inUse(linkId, null)).id).toBe(before.id);
    expect((await told(siteA)).state.links.map(({ id }) => id)).toEqual([linkId]);
  });
});

it("a gateway that is enrolled anew without having been revoked keeps its links' keys: its tunnels stay up", async () => {
  const linkId = await createTestLink(siteA, siteB, { method: "certificate" });
  const before = await inUse(linkId, "A");
  await enrolAgain();
  expect((await inUse(linkId, "A")).id).toBe(before.id);
});

describe("deleting a link", () => {
  const elsewhere = { name: "Second", networksA: ["10.11.0.0/24"], networksB: ["10.12.0.0/24"], method: "certificate" };

  it("revokes every certificate that the console issued for it and that has not ended, and tells the gateways that believe such ones", async () => {
    await createTestLink(siteA, siteB, elsewhere);
    const linkId = await createTestLink(siteA, siteB, { method: "certificate" });
    await createCredentials(database(), { id: linkId, config: await configOf(linkId) }, "retiring");
    const issued = await database().credential.findMany({ where: { linkId } });
    const [ended, ...valid] = issued;
    if (ended === undefined) throw new Error("no certificate");
    await database().credential.update({ where: { id: ended.id }, data: { notAfter: new Date(Date.now() - 1_000) } });
    const before = await Promise.all([gatewayAt(siteA), gatewayAt(siteB)]);
    await deleteLink(owner, linkId);
    expect(valid).toHaveLength(3);
    expect(await revokedSerials()).toEqual(serialsOf(valid));
    for (const site of [siteA, siteB]) expect((await told(site)).state.revocationLists).toHaveLength(1);
    const after = await Promise.all([gatewayAt(siteA), gatewayAt(siteB)]);
    expect(after.map(({ desiredRevision }, index) => desiredRevision - (before[index]?.desiredRevision ?? 0))).toEqual([1, 1]);
  });

  it("tells gateways of other links too: what was issued for one link would be believed on another of the same authority", async () => {
    const siteC = (await createSite(owner, { name: "Cologne", networks: ["10.3.0.0/24"], address: "203.0.113.1" })).id;
    await createTestLink(siteB, siteC, { ...elsewhere, networksA: ["10.2.0.0/24"], networksB: ["10.3.0.0/24"] });
    const linkId = await createTestLink(siteA, siteB, { method: "certificate" });
    const before = await gatewayAt(siteC);
    await deleteLink(owner, linkId);
    expect((await gatewayAt(siteC)).desiredRevision).toBe(before.desiredRevision + 1);
    expect((await told(siteC)).state.revocationLists).toHaveLength(1);
  });

  it("says so in the events and on the list of revoked certificates, by the name that the link had", async () => {
    const linkId = await createTestLink(siteA, siteB, { method: "certificate" });
    const deleting = { resourceId: linkId, verb: { in: ["deleted", "revoked"] } };
    await deleteLink(owner, linkId);
    expect((await database().event.findMany({ where: deleting, orderBy: { id: "asc" } })).map(({ resource, summary }) => [resource, summary])).toEqual([
      ["link", "Link Amsterdam – Berlin was deleted"],
      ["key", "2 certificates of Amsterdam – Berlin revoked: it was deleted"],
    ]);
    const { rows, total } = await listRevoked(owner);
    expect(rows.map(({ name, reason }) => [name, reason]).toSorted()).toEqual([
      ["Amsterdam – Berlin, Amsterdam", "cessationOfOperation"],
      ["Amsterdam – Berlin, Berlin", "cessationOfOperation"],
    ]);
    expect(total).toBe(2);
  });

  it("with a pre-shared key revokes nothing, makes no list and records nothing of certificates", async () => {
    const linkId = await createTestLink(siteA, siteB);
    await deleteLink(owner, linkId);
    expect(await database().event.count({ where: { resourceId: linkId, verb: "revoked" } })).toBe(0);
    expect(await listRevoked(owner)).toEqual({ rows: [], total: 0 });
  });

  it("that fails revokes nothing: both are one step", async () => {
    const linkId = await createTestLink(siteA, siteB, { method: "certificate" });
    await database().secret.updateMany({ where: { authorities: { some: { purpose: "ipsec" } } }, data: { masterKeyId: "another" } });
    await expect(deleteLink(owner, linkId)).rejects.toThrow(/master key another/);
    expect(await revokedSerials()).toEqual([]);
    expect(await database().link.count({ where: { id: linkId } })).toBe(1);
  });
});

const configOf = async (linkId: string) => linkConfig.parse((await database().link.findUniqueOrThrow({ where: { id: linkId } })).config);
