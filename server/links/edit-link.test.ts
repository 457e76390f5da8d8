import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { database } from "../db/client.ts";
import { Conflict, Invalid, NotFound } from "../errors.ts";
import { createSite } from "../sites/save-site.ts";
import { authenticationOf } from "../testing/authentication-of.ts";
import { owner, startTestDatabase } from "../testing/database.ts";
import { preflightEdit } from "./preflight-link.ts";
import { presets } from "./presets.ts";
import { previewEdit } from "./preview-link.ts";
import { readLinkSettings, readVersions } from "./read-link.ts";
import { createLink, editLink, setLinkEnabled } from "./save-link.ts";

let stop: () => Promise<void>;
let siteA: string;
let siteB: string;
let linkId: string;

beforeAll(async () => {
  ({ stop } = await startTestDatabase());
});
afterAll(() => stop());

beforeEach(async () => {
  await database().link.deleteMany();
  await database().site.deleteMany();
  siteA = (await createSite(owner, { name: "Amsterdam", networks: ["10.1.0.0/24"], address: "192.0.2.1" })).id;
  siteB = (await createSite(owner, { name: "Berlin", networks: ["10.2.0.0/24"], address: "" })).id;
  linkId = (await createLink(owner, { ...settings(), siteAId: siteA, peer: { kind: "site", siteId: siteB }, method: "psk", secret: null })).id;
});

const modern = presets[0];
if (modern === undefined) throw new Error("there is no preset");

function settings(change: Record<string, unknown> = {}) {
  return {
    name: "Amsterdam – Berlin",
    networksA: ["10.1.0.0/24"],
    networksB: ["10.2.0.0/24"],
    ikeProposals: modern?.ikeProposals,
    espProposals: modern?.espProposals,
    ikeRekeySeconds: modern?.ikeRekeySeconds,
    espRekeySeconds: modern?.espRekeySeconds,
    livenessSeconds: 10,
    ...change,
  };
}

const edit = (change: Record<string, unknown> = {}) => ({ ...settings(), version: 1, peer: null, ...change });
const revisions = async () => (await database().gateway.findMany({ orderBy: { site: { name: "asc" } } })).map((gateway) => gateway.desiredRevision);

describe("editing a link", () => {
  it("saves a version that says what changed, keeps the keys, and tells both gateways once", async () => {
    const before = { revisions: await revisions(), keys: await authenticationOf(linkId, "A") };
    await editLink(owner, linkId, edit({ networksB: ["10.2.0.0/24", "10.22.0.0/16"], espRekeySeconds: 900 }));
    expect(await revisions()).toEqual(before.revisions.map((revision) => revision + 1));
    expect(await authenticationOf(linkId, "A")).toEqual(before.keys);
    const [newest, first] = await readVersions(owner, linkId);
    expect([newest?.version, newest?.summary, newest?.config.networksB]).toEqual([2, "Changed networks and ESP", ["10.2.0.0/24", "10.22.0.0/16"]]);
    expect([first?.config.preset, newest?.config.preset]).toEqual(["modern", "custom"]);
    const event = await database().event.findFirstOrThrow({ where: { resourceId: linkId, verb: "changed" } });
    expect([event.summary, event.actorName]).toEqual(["Link Amsterdam – Berlin: changed networks and esp", owner.name]);
  });

  it("changes nothing when nothing differs", async () => {
    const before = await revisions();
    await editLink(owner, linkId, edit());
    expect([await revisions(), (await readVersions(owner, linkId)).length]).toEqual([before, 1]);
  });

  it("keeps a disabled link disabled", async () => {
    await setLinkEnabled(owner, linkId, false);
    await editLink(owner, linkId, edit({ version: 2, livenessSeconds: 30 }));
    expect((await readLinkSettings(owner, linkId)).config).toMatchObject({ enabled: false, ike: { livenessSeconds: 30 } });
  });

  it("refuses to overwrite what another saved meanwhile, also when both save at once", async () => {
    await editLink(owner, linkId, edit({ livenessSeconds: 20 }));
    await expect(editLink(owner, linkId, edit({ livenessSeconds: 30 }))).rejects.toThrow(Conflict);
    const both = await Promise.allSettled([40, 50].map((livenessSeconds) => editLink(owner, linkId, edit({ version: 2, livenessSeconds }))));
    expect(both.map((one) => one.status).toSorted()).toEqual(["fulfilled", "rejected"]);
    expect((await readVersions(owner, linkId)).map((version) => version.version)).toEqual([3, 2, 1]);
  });

  it("refuses at the field, as the wizard does, and leaves the link as it was", async () => {
    const cases: readonly [string, Record<string, unknown>][] = [
      ["networksA", { networksA: ["10.1.0.7/24"] }],
      ["networksA", { networksA: [] }],
      ["networksB", { networksB: ["10.1.0.128/25"] }],
      ["ikeProposals", { ikeProposals: ["not a proposal!"] }],
      ["espRekeySeconds", { espRekeySeconds: 5 }],
      ["name", { name: " " }],
    ];
    for (const [field, change] of cases) {
      const refusal = await editLink(owner, linkId, edit(change)).then(
        () => null,
        (error: unknown) => error,
      );
      if (!(refusal instanceof Invalid)) throw new Error(`${field}: expected Invalid, got ${String(refusal)}`);
      expect(Object.keys(refusal.fields)).toEqual([field]);
    }
    expect(await readVersions(owner, linkId)).toHaveLength(1);
  });

  it("does not take its own networks and name for somebody else's, but those of another link", async () => {
    const siteC = (await createSite(owner, { name: "Calais", networks: ["10.3.0.0/24"], address: "" })).id;
    await createLink(owner, {
      ...settings({ name: "Other", networksB: ["10.3.0.0/24"] }),
      siteAId: siteA,
      peer: { kind: "site", siteId: siteC },
      method: "psk",
      secret: null,
    });
    await editLink(owner, linkId, edit({ networksB: ["10.2.0.0/25"] }));
    await expect(editLink(owner, linkId, edit({ version: 2, name: "Other" }))).rejects.toThrow(Invalid);
    await expect(editLink(owner, linkId, edit({ version: 2, networksB: ["10.3.0.0/16", "10.2.0.0/24"] }))).rejects.toThrow(Invalid);
  });

  it("previews what each gateway is told before and after, and no key is in it", async () => {
    const previews = await previewEdit(owner, linkId, edit({ networksA: ["10.11.0.0/24"] }));
    expect(previews.map(({ siteName, before, after }) => [siteName, before?.children?.[0]?.localNetworks, after.children?.[0]?.localNetworks])).toEqual([
      ["Amsterdam", ["10.1.0.0/24"], ["10.11.0.0/24"]],
      ["Berlin", ["10.2.0.0/24"], ["10.2.0.0/24"]],
    ]);
    const keys = await authenticationOf(linkId, "A");
    expect(JSON.stringify(previews)).not.toContain(keys.method === "psk" ? keys.keys[0]?.secret : "");
    expect(await readVersions(owner, linkId)).toHaveLength(1);
  });

  it("says before saving what the ends would agree on", async () => {
    const preflight = await preflightEdit(owner, linkId, edit({ ikeProposals: ["aes128gcm16-prfsha256-ecp256"], espProposals: ["aes128gcm16"] }));
    expect(preflight.outcome).toBe("agreed");
    expect(preflight.sentence).toContain("aes128gcm16-prfsha256-ecp256");
  });

  it("is refused for a link that is not there", async () => {
    await expect(editLink(owner, "00000000-0000-4000-8000-000000000000", edit())).rejects.toThrow(NotFound);
  });
});
