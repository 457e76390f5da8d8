import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { database } from "../db/client.ts";
import { Forbidden, Invalid } from "../errors.ts";
import { createSite } from "../sites/save-site.ts";
import { owner, startTestDatabase } from "../testing/database.ts";
import { linkFormOf } from "../testing/link-forms.ts";
import { preflightLink } from "./preflight-link.ts";
import { presets } from "./presets.ts";

let stop: () => Promise<void>;
let siteA: string;
let siteB: string;

beforeAll(async () => {
  ({ stop } = await startTestDatabase());
  siteA = (await createSite(owner, { name: "Amsterdam", networks: ["10.1.0.0/24"], address: "198.51.100.1" })).id;
  siteB = (await createSite(owner, { name: "Berlin", networks: ["10.2.0.0/24"], address: "198.51.100.2" })).id;
});
afterAll(() => stop());

const preflight = (change: Record<string, unknown> = {}) => preflightLink(owner, linkFormOf(siteA, siteB, change));

describe("the preflight of a link form", () => {
  it.each(presets.flatMap((preset) => (["psk", "certificate"] as const).map((method) => [preset.id, method] as const)))(
    "says what both gateways would agree on: %s, %s",
    async (id, method) => {
      const preset = presets.find((each) => each.id === id);
      const result = await preflight({ method, preset: id, ikeProposals: preset?.ikeProposals, espProposals: preset?.espProposals });
      expect(result).toMatchObject({ outcome: "agreed", code: null, assumption: null });
      const facts = Object.fromEntries(result.facts.map((fact) => [fact.label, fact.value]));
      expect(facts).toMatchObject({
        Begins: "Amsterdam",
        Authentication: method === "psk" ? "Pre-shared key" : "Certificates",
        "Identity of Berlin": expect.stringContaining("."),
        "Networks (lan)": "10.1.0.0/24 ⇄ 10.2.0.0/24",
      });
      expect(facts["ESP (lan)"]).toContain("rekeyed as");
    },
  );

  it("says so before saving when a proposal cannot work", async () => {
    const result = await preflight({ ikeProposals: ["aes256gcm16-prfsha384-x25519", "aes256-sha1-modp1024"] });
    expect(result).toMatchObject({ outcome: "refused", code: "CONFIGURATION", facts: [] });
    expect(result.sentence).toMatch(/^Amsterdam would refuse the link: .*SHA-1/);
  });

  it("takes a third-party peer to be set up as it will be told, and says that it did", async () => {
    const peer = { kind: "third-party", name: "Partner", address: "vpn.partner.example", identity: "vpn.partner.example" };
    const result = await preflight({ peer, networksB: ["10.77.0.0/24"], secret: "planted-key-of-the-partner" });
    expect(result).toMatchObject({ outcome: "agreed", assumption: "Partner is taken to offer the same proposals and networks, and to know the key." });
    expect(result.remarks).toContain("Amsterdam calls vpn.partner.example, which was not looked up.");
    expect(JSON.stringify(result)).not.toContain("planted");
  });

  it("saves nothing: no link, no credential, no secret but the authority's", async () => {
    await preflight({ method: "certificate" });
    const db = database();
    expect([await db.link.count(), await db.credential.count(), await db.linkVersion.count()]).toEqual([0, 0, 0]);
    expect(await db.secret.count()).toBe(await db.authority.count());
  });

  it("refuses a form as saving would, and whoever may not save", async () => {
    await expect(preflight({ networksB: ["10.1.0.0/25"] })).rejects.toBeInstanceOf(Invalid);
    for (const role of ["viewer", "operator"] as const)
      await expect(preflightLink({ ...owner, role }, linkFormOf(siteA, siteB))).rejects.toBeInstanceOf(Forbidden);
  });
});
