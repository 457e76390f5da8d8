import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { database } from "../db/client.ts";
import { Conflict, Invalid, NotFound } from "../errors.ts";
import { createSite } from "../sites/save-site.ts";
import { authenticationOf } from "../testing/authentication-of.ts";
import { owner, startTestDatabase } from "../testing/database.ts";
import { preflightEdit } from "./preflight-link.ts";
import { presets } from "./presets.ts";
import { previewEdit } from "./preview-link.ts";
import { readLink, readLinkSettings, readVersions } from "./read-link.ts";
import { createLink, editLink, rollbackLink, setLinkEnabled } from "./save-link.ts";

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
      ["replayWindowPackets", { replayWindowPackets: 32 }],
      ["livenessAction", { livenessAction: "panic" }],
      ["inactivitySeconds", { bringUp: "onDemand", inactivitySeconds: 100_000 }],
      ["inactivitySeconds", { inactivitySeconds: 60 }],
      ["encapsulation", { ah: { proposals: ["sha256"] }, encapsulation: "udp" }],
      ["ahProposals", { ah: { proposals: [] } }],
      ["mode", { mode: "transport" }],
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

  it("has AH, transport mode and the time without traffic, says in the history that they changed, and keeps them", async () => {
    const hosts = { networksA: ["192.0.2.1/32"], networksB: ["198.51.100.1/32"] };
    const choices = { ah: { proposals: ["sha256-x25519"] }, mode: "transport", bringUp: "onDemand", inactivitySeconds: 300 };
    await editLink(owner, linkId, edit({ ...hosts, ...choices }));
    const [newest] = await readVersions(owner, linkId);
    expect(newest?.summary).toBe("Changed networks, when it is brought up, protocol, mode, and when it is closed");
    // A form of an earlier version does not know them.
    await editLink(owner, linkId, edit({ ...hosts, version: 2, livenessSeconds: 20 }));
    expect((await readLinkSettings(owner, linkId)).config).toMatchObject(choices);
    expect((await readLink(owner, linkId)).choices).toEqual({ isAh: true, mode: "transport", inactivitySeconds: 300 });
    const { sentence } = await preflightEdit(owner, linkId, edit({ ...hosts, version: 3 }));
    expect(sentence).toMatch(/protect 192\.0\.2\.1\/32 ⇄ 198\.51\.100\.1\/32 with AH in transport mode\.$/);
  });

  it("refuses transport mode at its field when a gateway's own data plane is in use, with what the gateway says of it; a disabled link may have it", async () => {
    await database().gateway.updateMany({ where: { siteId: siteB }, data: { plane: "tun", planeReason: "this kernel has no ESP" } });
    const transport = { networksA: ["192.0.2.1/32"], networksB: ["198.51.100.1/32"], mode: "transport" };
    const refusal = await editLink(owner, linkId, edit(transport)).catch((error: unknown) => error);
    expect(refusal).toBeInstanceOf(Invalid);
    expect((refusal as Invalid).fields).toEqual({
      mode: "Transport mode needs a gateway whose kernel has ESP. That of Berlin protects packets by itself (this kernel has no ESP): choose tunnel mode.",
    });
    await database().gateway.updateMany({ where: { siteId: siteB }, data: { plane: "kernel" } });
    await editLink(owner, linkId, edit(transport));
    await database().gateway.updateMany({ where: { siteId: siteB }, data: { plane: "tun" } });
    await setLinkEnabled(owner, linkId, false);
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

  it("keeps every option that the form does not send, and those that it has no field for", async () => {
    const options = { bringUp: "onDemand", encapsulation: "udp", livenessAction: "trap", childless: true, replayWindowPackets: 2_048 };
    await editLink(owner, linkId, edit(options));
    // What no form has a field for, as another program or a later version may have set it.
    await database().$executeRaw`UPDATE "Link" SET config = jsonb_set(config, '{ike,reauthenticateSeconds}', '7200') WHERE id = ${linkId}`;
    await editLink(owner, linkId, edit({ version: 2, name: "Renamed" }));
    const { config } = await readLinkSettings(owner, linkId);
    expect(config).toMatchObject({
      name: "Renamed",
      bringUp: "onDemand",
      encapsulation: "udp",
      ike: { livenessAction: "trap", childless: true, reauthenticateSeconds: 7_200 },
      esp: { replayWindowPackets: 2_048 },
    });
    expect((await readVersions(owner, linkId)).map((version) => version.summary)).toEqual([
      "Changed name",
      "Changed when it is brought up, encapsulation, IKE, and ESP",
      "Created",
    ]);
  });

  it("shows the new options in the review and takes them back with a roll-back", async () => {
    const change = edit({ bringUp: "onDemand", livenessAction: "clear", childless: true, encapsulation: "plain" });
    const [amsterdam, berlin] = await previewEdit(owner, linkId, change);
    // Only Amsterdam can be reached: it waits, and Berlin calls when a packet wants through.
    expect([amsterdam?.before?.initiate, amsterdam?.after.initiate, berlin?.after.initiate]).toEqual(["respond", "respond", "onDemand"]);
    for (const preview of [amsterdam, berlin]) {
      expect(preview?.before?.ike).not.toHaveProperty("livenessAction");
      expect(preview?.after).toMatchObject({ encapsulation: "plain", ike: { livenessAction: "clear", childless: true } });
    }
    expect((await preflightEdit(owner, linkId, change)).outcome).toBe("agreed");
    await editLink(owner, linkId, change);
    await rollbackLink(owner, linkId, 1);
    expect((await readLinkSettings(owner, linkId)).config).toMatchObject({
      bringUp: "atOnce",
      encapsulation: "auto",
      ike: { livenessAction: "restart", childless: false },
    });
  });

  it("reads a link of a version that had fewer options as what it was", async () => {
    await database().$executeRaw`
      UPDATE "Link" SET config = config - 'bringUp' - 'revocation' - 'encapsulation' #- '{ike,livenessAction}' #- '{ike,childless}' WHERE id = ${linkId}`;
    const { config } = await readLinkSettings(owner, linkId);
    expect(config).toMatchObject({ bringUp: "atOnce", revocation: "soft", encapsulation: "auto", ike: { livenessAction: "restart", childless: false } });
    await editLink(owner, linkId, edit());
    expect(await readVersions(owner, linkId)).toHaveLength(1);
  });

  it("is refused for a link that is not there", async () => {
    await expect(editLink(owner, "00000000-0000-4000-8000-000000000000", edit())).rejects.toThrow(NotFound);
  });
});
