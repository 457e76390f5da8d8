import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { OpenSsl } from "../../agent/testing/openssl.ts";
import { database } from "../db/client.ts";
import { Conflict } from "../errors.ts";
import { deleteImportedCertificate, importCertificate } from "../keys/import-certificate.ts";
import { createSite } from "../sites/save-site.ts";
import { owner, startTestDatabase } from "../testing/database.ts";
import { createTestLink } from "../testing/link-forms.ts";
import { type Faults, playGateways } from "../testing/played-gateways.ts";
import { replaceImported } from "./replace-import.ts";
import { rotateLink } from "./rotate-link.ts";

const openssl = new OpenSsl();
const imports = new Map<string, string>();
let stop: () => Promise<void>;
let linkId: string;
let siteId: string;

beforeAll(async () => {
  ({ stop } = await startTestDatabase());
  const newKey = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
  openssl.run("req", "-x509", ...newKey, "-keyout", "ca.key", "-subj", "/CN=Partner CA", "-addext", "basicConstraints=critical,CA:TRUE", "-out", "ca.pem");
  for (const [name, identity] of [
    ["first", "amsterdam.example"],
    ["second", "amsterdam.example"],
    ["stranger", "rotterdam.example"],
  ] as const) {
    openssl.run("req", ...newKey, "-keyout", "own.key", "-subj", `/CN=${name}`, "-out", "own.csr");
    openssl.write("san", `subjectAltName=DNS:${identity}\n`);
    openssl.run("x509", "-req", "-in", "own.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "30", "-extfile", "san", "-out", "own.pem");
    const file = Buffer.concat(["own.pem", "own.key", "ca.pem"].map((part) => openssl.read(part)));
    imports.set(name, (await importCertificate(owner, { name, password: "", file })).id);
  }
  siteId = (await createSite(owner, { name: "Amsterdam", networks: ["10.1.0.0/24"], address: "192.0.2.1" })).id;
});
afterAll(async () => {
  openssl.remove();
  await stop();
});

beforeEach(async () => {
  await database().link.deleteMany();
  const peer = { kind: "third-party", name: "Partner", address: "203.0.113.7", identity: "partner.example" };
  linkId = await createTestLink(siteId, "", { name: "To the partner", peer, method: "certificate", certificateId: imports.get("first") });
});

const replaceBy = (name: string) => replaceImported(owner, linkId, { certificateId: imports.get(name) ?? "" });
const shown = async () => (await database().credential.findFirstOrThrow({ where: { linkId, state: "active" } })).importId;

async function replaceAndRun(faults: Faults) {
  const played = await playGateways(linkId, faults);
  try {
    await replaceBy("second");
    const { id } = await database().rotationRun.findFirstOrThrow({ where: { linkId, state: "waiting" } });
    await rotateLink(id);
    const run = await database().rotationRun.findUniqueOrThrow({ where: { id }, include: { steps: { orderBy: { position: "asc" } } } });
    const applied = played.applied("A");
    return { run, steps: run.steps.map((step) => step.name), certificates: applied.method === "certificate" ? applied.certificates.length : 0 };
  } finally {
    await played.stop();
  }
}

describe("replacing the imported certificate of a link to a third-party peer", () => {
  it("holds both until the new one is in use, then destroys the link's copy of the old one", async () => {
    const { run, steps, certificates } = await replaceAndRun({});
    expect([run.state, run.sentence]).toEqual(["succeeded", "The imported certificate of To the partner was replaced."]);
    expect(steps).toEqual(["stage", "switch", "reauthenticate", "verify", "withdraw", "destroy"]);
    expect([await shown(), certificates]).toEqual([imports.get("second"), 1]);
    const states = await database().credential.findMany({ where: { linkId }, orderBy: { createdAt: "asc" }, select: { state: true, secretId: true } });
    expect(states.map(({ state, secretId }) => [state, secretId === null])).toEqual([
      ["retired", true],
      ["active", false],
    ]);
  });

  it("keeps the old one when the peer refuses the new one", async () => {
    const { run } = await replaceAndRun({ reauthentication: "refused" });
    expect(run.state).toBe("failed");
    expect(run.sentence).toContain("The old key is kept.");
    expect(await shown()).toBe(imports.get("first"));
    expect(await database().credential.count({ where: { linkId, state: { not: "retired" } } })).toBe(1);
  });

  it("is refused at the field for the same one, another identity, and none; and while a replacement is under way", async () => {
    await expect(replaceBy("first")).rejects.toMatchObject({ fields: { certificateId: expect.stringContaining("already") } });
    await expect(replaceBy("stranger")).rejects.toMatchObject({ fields: { certificateId: expect.stringContaining("the peer expects amsterdam.example") } });
    await expect(replaceBy("nobody")).rejects.toMatchObject({ fields: { certificateId: expect.stringContaining("Choose") } });
    await replaceBy("second");
    await expect(replaceBy("second")).rejects.toBeInstanceOf(Conflict);
  });

  it("fails without harm when the certificate has been deleted since it was chosen", async () => {
    await replaceBy("second");
    const { id } = await database().rotationRun.findFirstOrThrow({ where: { linkId, state: "waiting" } });
    await database().rotationRun.update({ where: { id }, data: { importId: "gone" } });
    await rotateLink(id);
    expect(await database().rotationRun.findUniqueOrThrow({ where: { id } })).toMatchObject({
      state: "failed",
      sentence: expect.stringContaining("no longer there"),
    });
    expect(await shown()).toBe(imports.get("first"));
    await expect(deleteImportedCertificate(owner, imports.get("first") ?? "")).rejects.toThrow(/Replace it there/);
  });
});
