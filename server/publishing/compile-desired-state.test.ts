import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { desiredState } from "../../contract/desired-state.ts";
import { database } from "../db/client.ts";
import { setLinkEnabled } from "../links/save-link.ts";
import { presets } from "../links/presets.ts";
import { setGatewayWorkers } from "../sites/gateway-workers.ts";
import { createSite, updateSite } from "../sites/save-site.ts";
import { owner, startTestDatabase } from "../testing/database.ts";
import { createTestLink } from "../testing/link-forms.ts";
import { compileDesiredState } from "./compile-desired-state.ts";

let stop: () => Promise<void>;
let siteA: string;
let siteB: string;
let gatewayA: string;
let gatewayB: string;

beforeAll(async () => {
  ({ stop } = await startTestDatabase());
});
afterAll(() => stop());

beforeEach(async () => {
  await database().link.deleteMany();
  await database().site.deleteMany();
  siteA = (await createSite(owner, { name: "Amsterdam", networks: ["10.1.0.0/24", "fd00:1::/64"], address: "192.0.2.1" })).id;
  siteB = (await createSite(owner, { name: "Berlin", networks: ["10.2.0.0/24", "fd00:2::/64"], address: "" })).id;
  [gatewayA, gatewayB] = await Promise.all([gatewayAt(siteA), gatewayAt(siteB)]);
});

const gatewayAt = async (siteId: string) => (await database().gateway.findFirstOrThrow({ where: { siteId } })).id;
const both = async () => Promise.all([compileDesiredState(gatewayA), compileDesiredState(gatewayB)]);

describe("what gateways are told", () => {
  it.each(presets.flatMap((preset) => (["psk", "certificate"] as const).map((method) => [preset.id, method] as const)))(
    "is of the contract and mirrored at the two ends: %s, %s",
    async (id, method) => {
      const preset = presets.find((each) => each.id === id);
      const link = { method, preset: id, ikeProposals: preset?.ikeProposals, espProposals: preset?.espProposals };
      await createTestLink(siteA, siteB, { ...link, networksA: ["10.1.0.0/24", "fd00:1::/64"], networksB: ["fd00:2::/64", "10.2.0.0/24"] });
      const [a, b] = (await both()).map((compiled) => desiredState.parse(compiled.state).links[0]);
      if (a === undefined || b === undefined) throw new Error("no link");
      // Only Amsterdam can be reached: exactly one end starts, and it is the one that knows where to.
      expect([a.initiate, b.initiate, a.remote.address, b.remote.address]).toEqual(["respond", "start", undefined, "192.0.2.1"]);
      expect([a.local.identity, a.remote.identity]).toEqual([b.remote.identity, b.local.identity]);
      expect(a.children.map((child) => [child.localNetworks, child.remoteNetworks])).toEqual(
        b.children.map((child) => [child.remoteNetworks, child.localNetworks]),
      );
      // Which of the two rekeys first is desired-link.ts's to say.
      const { rekeySeconds: _ike, ...ikeOfA } = a.ike;
      const { rekeySeconds: _esp, ...espOfA } = a.esp;
      expect([b.ike, b.esp]).toMatchObject([ikeOfA, espOfA]);
      expect(a.probe).toEqual({ source: "10.1.0.1", target: "10.2.0.1" });
      if (method === "psk") expect(a.authentication).toEqual(b.authentication);
      else expect(a.authentication.method === "certificate" && a.authentication.trustedAuthorities).toHaveLength(1);
    },
  );

  it("is the same for an unchanged link whatever happens to another: nothing of it is touched", async () => {
    const kept = await createTestLink(siteA, siteB);
    const other = await createTestLink(siteA, siteB, { name: "Other", networksA: ["10.11.0.0/24"], networksB: ["10.12.0.0/24"] });
    const before = (await both()).map((compiled) => compiled.state.links.find((link) => link.id === kept));
    await setLinkEnabled(owner, other, false);
    const after = (await both()).map((compiled) => compiled.state.links.find((link) => link.id === kept));
    expect(after).toEqual(before);
  });

  it("has every Advanced choice, and leaves out those that are as they always were", async () => {
    const id = await createTestLink(siteA, siteB, { method: "certificate" });
    const [before] = await both();
    expect(Object.keys(before?.state.links[0] ?? {})).not.toContain("encapsulation");
    expect(Object.keys(before?.state.links[0]?.ike ?? {})).not.toContain("childless");
    expect(before?.state.links[0]?.authentication).not.toHaveProperty("revocation");
    for (const absent of ["ah", "inactivitySeconds"]) expect(Object.keys(before?.state.links[0] ?? {})).not.toContain(absent);
    expect(before?.state.links[0]?.children[0]).not.toHaveProperty("mode");
    const choices = {
      ...{ bringUp: "onDemand", livenessAction: "trap", childless: true, revocation: "off", encapsulation: "plain", replayWindowPackets: 4_096 },
      ...{ ah: { proposals: ["sha256-x25519"] }, mode: "preferTransport", inactivitySeconds: 300, networksA: ["192.0.2.1/32"], networksB: ["198.51.100.1/32"] },
    };
    await database().link.delete({ where: { id } });
    await createTestLink(siteA, siteB, { method: "certificate", ...choices });
    const [a, b] = await both();
    for (const link of [a?.state.links[0], b?.state.links[0]])
      expect(link).toMatchObject({
        authentication: { revocation: "off" },
        ike: { livenessAction: "trap", childless: true },
        esp: { replayWindowPackets: 4_096 },
        encapsulation: "plain",
        ah: { proposals: ["sha256-x25519"] },
        inactivitySeconds: 300,
        children: [{ mode: "preferTransport" }],
      });
    // Amsterdam does not know where Berlin is.
    expect([a?.state.links[0]?.initiate, b?.state.links[0]?.initiate]).toEqual(["respond", "onDemand"]);
  });

  it("has the gateway's workers, and leaves out those that are one, which an older gateway knows no word for", async () => {
    const told = async () => (await compileDesiredState(gatewayA)).state.gateway;
    const older = desiredState.extend({ gateway: desiredState.shape.gateway.omit({ outboundWorkers: true, inboundWorkers: true }) });
    const isReadByOlder = async () => older.safeParse((await compileDesiredState(gatewayA)).state).success;
    expect(Object.keys(await told()).filter((key) => key.endsWith("Workers"))).toEqual([]);
    expect(await isReadByOlder()).toBe(true);
    await setGatewayWorkers(owner, siteA, { outbound: 4, inbound: 1 });
    expect(await told()).toMatchObject({ outboundWorkers: 4 });
    expect(Object.keys(await told())).not.toContain("inboundWorkers");
    await setGatewayWorkers(owner, siteA, { outbound: 1, inbound: 16 });
    expect(await told()).toMatchObject({ inboundWorkers: 16 });
    expect(Object.keys(await told())).not.toContain("outboundWorkers");
    expect(await isReadByOlder()).toBe(false);
    await setGatewayWorkers(owner, siteA, { outbound: 1, inbound: 1 });
    expect(await isReadByOlder()).toBe(true);
  });

  it("follows a site's new address, under a new revision", async () => {
    await createTestLink(siteA, siteB);
    const [before] = await both();
    await updateSite(owner, siteA, { name: "Amsterdam", networks: ["10.1.0.0/24"], address: "203.0.113.77" });
    const [a, b] = await both();
    expect(a?.state.revision).toBe((before?.state.revision ?? 0) + 1);
    expect(b?.state.links[0]?.remote.address).toBe("203.0.113.77");
  });

  it("tells nothing at all when a key cannot be opened: a state without the link would take its tunnel down", async () => {
    const linkId = await createTestLink(siteA, siteB);
    const { secretId } = await database().credential.findFirstOrThrow({ where: { linkId } });
    await database().secret.update({ where: { id: secretId ?? "" }, data: { masterKeyId: "another" } });
    await expect(compileDesiredState(gatewayA)).rejects.toThrow(/master key another/);
  });

  it("holds no link up for another whose rows make no sense, and names what is wrong without its value", async () => {
    const good = await createTestLink(siteA, siteB);
    const bad = await createTestLink(siteA, siteB, { name: "Bad", networksA: ["10.11.0.0/24"], networksB: ["10.12.0.0/24"] });
    await database().$executeRaw`UPDATE "Link" SET config = jsonb_set(config, '{ike,rekeySeconds}', '"secret-looking"') WHERE id = ${bad}`;
    const { state, refused } = await compileDesiredState(gatewayA);
    expect(state.links.map((link) => link.id)).toEqual([good]);
    expect(refused).toEqual([{ linkId: bad, reason: "Its configuration is not valid at ike.rekeySeconds: invalid_type." }]);
  });
});
