import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { OpenSsl } from "../../agent/testing/openssl.ts";
import { database } from "../db/client.ts";
import { Conflict, Forbidden, Invalid } from "../errors.ts";
import { preflightLink } from "../links/preflight-link.ts";
import { previewLink } from "../links/preview-link.ts";
import { createLink, deleteLink } from "../links/save-link.ts";
import { compileDesiredState } from "../publishing/compile-desired-state.ts";
import { createSite } from "../sites/save-site.ts";
import { owner, startTestDatabase } from "../testing/database.ts";
import { linkFormOf } from "../testing/link-forms.ts";
import { deleteImportedCertificate, importCertificate, listImportedCertificates } from "./import-certificate.ts";
import { listKeys } from "./list-keys.ts";

const openssl = new OpenSsl();
let stop: () => Promise<void>;
let siteA: string;

beforeAll(async () => {
  ({ stop } = await startTestDatabase());
  const newKey = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
  openssl.run("req", "-x509", ...newKey, "-keyout", "ca.key", "-subj", "/CN=Partner CA", "-addext", "basicConstraints=critical,CA:TRUE", "-out", "ca.pem");
  openssl.run("req", ...newKey, "-keyout", "own.key", "-subj", "/CN=Amsterdam", "-out", "own.csr");
  openssl.write("san", "subjectAltName=DNS:amsterdam.example\n");
  openssl.run("x509", "-req", "-in", "own.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "30", "-extfile", "san", "-out", "own.pem");
  openssl.run("pkcs12", "-export", "-inkey", "own.key", "-in", "own.pem", "-certfile", "ca.pem", "-passout", "pass:open sesame", "-out", "own.p12");
});
afterAll(async () => {
  openssl.remove();
  await stop();
});

beforeEach(async () => {
  await database().link.deleteMany();
  await database().site.deleteMany();
  await database().importedCertificate.deleteMany();
  await database().event.deleteMany();
  siteA = (await createSite(owner, { name: "Amsterdam", networks: ["10.1.0.0/24"], address: "192.0.2.1" })).id;
});

const container = (change: Record<string, unknown> = {}) => ({ name: "", password: "open sesame", file: openssl.read("own.p12"), ...change });
const text = (name: string) => Buffer.from(openssl.read(name)).toString("latin1");
const partner = { kind: "third-party", name: "Partner", address: "203.0.113.7", identity: "partner.example" };
const form = (certificateId: string, change: Record<string, unknown> = {}) =>
  linkFormOf(siteA, "", { name: "To the partner", peer: partner, method: "certificate", certificateId, ...change });

describe("an imported certificate", () => {
  it("is listed with what it speaks for, its key is sealed, and neither key nor password is in any row or answer", async () => {
    const { id, notice } = await importCertificate(owner, container());
    expect(notice).toBeNull();
    const list = await listImportedCertificates(owner);
    expect(list).toMatchObject([{ id, name: "CN=Amsterdam", identity: "amsterdam.example", keyName: "ECDSA P-256", hasRoot: true }]);
    const keys = await listKeys(owner);
    expect(keys.find((key) => key.id === id)).toMatchObject({ kind: "certificate", isImported: true, state: "valid", usedBy: [], linkId: null });
    const written = JSON.stringify([list, keys, await database().importedCertificate.findMany(), await database().event.findMany()], (_key, value: unknown) =>
      typeof value === "bigint" ? String(value) : value,
    );
    expect(written).toContain("was imported");
    expect(written).not.toMatch(/PRIVATE KEY|open sesame/);
    const [secret] = await database().secret.findMany({ where: { imports: { some: { id } } } });
    expect(Buffer.from(secret?.ciphertext ?? []).toString("latin1")).not.toContain("PRIVATE KEY");
  });

  it("is refused at the field that is wrong, and nothing is kept", async () => {
    const before = await database().secret.count();
    const refused = async (change: Record<string, unknown>) => {
      const error = await importCertificate(owner, container(change)).catch((thrown: unknown) => thrown);
      if (!(error instanceof Invalid)) throw error;
      return error.fields;
    };
    expect(await refused({ password: "guess" })).toEqual({ password: expect.stringContaining("does not open the file") });
    expect(await refused({ password: "" })).toEqual({ password: expect.stringContaining("locked") });
    expect(await refused({ file: Buffer.from(text("own.pem")) })).toEqual({ file: expect.stringContaining("no private key") });
    expect(await refused({ file: Buffer.from(text("ca.pem") + text("own.key")) })).toEqual({ file: expect.stringContaining("belongs to none") });
    expect(await refused({ file: new Uint8Array(300_000) })).toEqual({ file: expect.stringContaining("256 kB") });
    expect(await database().secret.count()).toBe(before);
    await importCertificate(owner, container({ name: "One" }));
    expect(await refused({ name: "Two" })).toEqual({ file: expect.stringContaining("“One”") });
  });

  it("without its root is taken with a notice that names the missing issuer", async () => {
    const { notice } = await importCertificate(owner, container({ password: "", file: Buffer.from(text("own.pem") + text("own.key")) }));
    expect(notice).toContain("CN=Partner CA");
  });

  it("cannot be imported or deleted by an operator", async () => {
    const operator = { ...owner, role: "operator" as const };
    await expect(importCertificate(operator, container())).rejects.toBeInstanceOf(Forbidden);
    const { id } = await importCertificate(owner, container());
    await expect(deleteImportedCertificate(operator, id)).rejects.toBeInstanceOf(Forbidden);
  });
});

describe("a link to a third-party peer by an imported certificate", () => {
  it("is agreed in the preflight, shows no key in its review, and gives the gateway chain, key and the peer's authority", async () => {
    const { id } = await importCertificate(owner, container());
    const preflight = await preflightLink(owner, form(id));
    expect(preflight).toMatchObject({ outcome: "agreed", assumption: expect.stringContaining("accept our certificate") });
    expect(preflight.facts).toContainEqual({ label: "Authentication", value: "Certificates" });
    expect(JSON.stringify(await previewLink(owner, form(id)))).not.toContain("PRIVATE KEY");
    const created = await createLink(owner, form(id));
    expect(created.secret).toBeNull();
    const gateway = await database().gateway.findFirstOrThrow();
    const { state, refused } = await compileDesiredState(gateway.id);
    expect(refused).toEqual([]);
    expect(state.links[0]).toMatchObject({
      local: { identity: "amsterdam.example" },
      authentication: {
        method: "certificate",
        certificates: [{ chain: text("own.pem"), privateKey: expect.stringMatching(/^-----BEGIN PRIVATE KEY-----/) }],
        trustedAuthorities: [text("ca.pem")],
      },
    });
    expect((await listKeys(owner)).filter((key) => key.isImported)).toMatchObject([{ usedBy: [{ name: "To the partner" }] }]);
  });

  it("is refused without a certificate, and with authorities that are none, at the field", async () => {
    const { id } = await importCertificate(owner, container());
    await expect(createLink(owner, form(""))).rejects.toMatchObject({ fields: { certificateId: expect.stringContaining("Import one under Keys") } });
    await expect(createLink(owner, form(id, { peerAuthorities: "hello" }))).rejects.toMatchObject({
      fields: { peerAuthorities: expect.stringContaining("PEM") },
    });
    await expect(createLink(owner, form(id, { peerAuthorities: text("own.pem") }))).rejects.toMatchObject({
      fields: { peerAuthorities: expect.stringContaining("not an authority") },
    });
  });

  it("keeps the certificate from being deleted for as long as it is there; then the key goes with it", async () => {
    const { id } = await importCertificate(owner, container());
    const link = await createLink(owner, form(id));
    await expect(deleteImportedCertificate(owner, id)).rejects.toBeInstanceOf(Conflict);
    await deleteLink(owner, link.id);
    const secrets = await database().secret.count();
    await deleteImportedCertificate(owner, id);
    expect(await database().secret.count()).toBe(secrets - 1);
    expect(await listImportedCertificates(owner)).toEqual([]);
  });
});
