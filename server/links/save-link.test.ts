import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { database } from "../db/client.ts";
import { Invalid } from "../errors.ts";
import { readOverview } from "../overview/read-overview.ts";
import { createSite } from "../sites/save-site.ts";
import { authenticationOf } from "../testing/authentication-of.ts";
import { owner, startTestDatabase } from "../testing/database.ts";
import { linkStatuses } from "./link-status.ts";
import { listLinks } from "./list-links.ts";
import { presets } from "./presets.ts";
import { previewLink } from "./preview-link.ts";
import { readLink, readVersions } from "./read-link.ts";
import { createLink, deleteLink, rollbackLink, setLinkEnabled } from "./save-link.ts";

let stop: () => Promise<void>;
let siteA: string;
let siteB: string;

beforeAll(async () => {
  ({ stop } = await startTestDatabase());
});
afterAll(() => stop());

beforeEach(async () => {
  await database().link.deleteMany();
  await database().site.deleteMany();
  siteA = (await createSite(owner, { name: "Amsterdam", networks: ["10.1.0.0/24"], address: "192.0.2.1" })).id;
  siteB = (await createSite(owner, { name: "Berlin", networks: ["10.2.0.0/24"], address: "" })).id;
});

function form(change: Record<string, unknown> = {}) {
  const [preset] = presets;
  return {
    name: "Amsterdam – Berlin",
    siteAId: siteA,
    peer: { kind: "site", siteId: siteB },
    networksA: ["10.1.0.0/24"],
    networksB: ["10.2.0.0/24"],
    preset: preset?.id,
    method: "psk",
    secret: null,
    ikeProposals: preset?.ikeProposals,
    espProposals: preset?.espProposals,
    ikeRekeySeconds: 14_400,
    espRekeySeconds: 3_600,
    livenessSeconds: 10,
    ...change,
  };
}

function observedOf(id: string) {
  return { id, state: "up", since: 1, ikeSas: [], lastFailure: null, roundTripMs: null, probesSent: 7, probesAnswered: 7 };
}

async function refusedFields(promise: Promise<unknown>): Promise<string[]> {
  const error = await promise.then(
    () => null,
    (reason: unknown) => reason,
  );
  if (!(error instanceof Invalid)) throw new Error(`Expected Invalid, got ${String(error)}`);
  return Object.keys(error.fields);
}

const revisions = async () => (await database().gateway.findMany({ orderBy: { site: { name: "asc" } } })).map((gateway) => gateway.desiredRevision);

describe("createLink", () => {
  it("gives both ends the same key and bumps both gateways' revisions once", async () => {
    const before = await revisions();
    const { id, secret } = await createLink(owner, form());
    expect(secret).toBeNull();
    expect(await revisions()).toEqual(before.map((revision) => revision + 1));
    const [a, b] = await Promise.all([authenticationOf(id, "A"), authenticationOf(id, "B")]);
    expect(a).toEqual(b);
    expect((await readLink(owner, id)).ends.map((end) => end.push.state)).toEqual(["waiting", "waiting"]);
  });

  it("gives each end a certificate of its own when certificates were chosen", async () => {
    const { id } = await createLink(owner, form({ method: "certificate" }));
    const [a, b] = await Promise.all([authenticationOf(id, "A"), authenticationOf(id, "B")]);
    if (a.method !== "certificate" || b.method !== "certificate") throw new Error("no certificates");
    expect(a.certificates[0]?.chain).toContain("BEGIN CERTIFICATE");
    expect(a.certificates[0]?.chain).not.toBe(b.certificates[0]?.chain);
    expect(a.trustedAuthorities).toEqual(b.trustedAuthorities);
  });

  it("shows a generated key once, only when a third-party peer must be given it", async () => {
    const peer = { kind: "third-party", name: "Partner", address: "203.0.113.9", identity: "203.0.113.9" };
    expect((await createLink(owner, form({ peer }))).secret).toMatch(/^[\w-]{43}$/);
    expect((await createLink(owner, form({ peer, name: "Second", networksB: ["10.9.0.0/24"], secret: "known to the peer" }))).secret).toBeNull();
  });

  it("refuses at the field: malformed, overlapping and ambiguous networks, a taken name, the same site twice", async () => {
    expect(await refusedFields(createLink(owner, form({ networksA: ["10.1.0.7/24"] })))).toEqual(["networksA"]);
    expect(await refusedFields(createLink(owner, form({ networksB: ["10.1.0.128/25"] })))).toEqual(["networksB"]);
    expect(await refusedFields(createLink(owner, form({ peer: { kind: "site", siteId: siteA } })))).toEqual(["siteBId"]);
    expect(await refusedFields(createLink(owner, form({ espProposals: ["not a proposal!"] })))).toEqual(["espProposals"]);
    const peer = { kind: "third-party", name: "Partner", address: "203.0.113.9/32", identity: "partner.example" };
    expect(await refusedFields(createLink(owner, form({ peer })))).toEqual(["peerAddress"]);
    await createLink(owner, form());
    expect(await refusedFields(createLink(owner, form({ networksB: ["10.7.0.0/24"] })))).toEqual(["name"]);
    expect(await refusedFields(createLink(owner, form({ name: "Twin" })))).toEqual(["networksB"]);
  });

  it("leaves nothing behind when it is refused", async () => {
    const before = await revisions();
    await refusedFields(createLink(owner, form({ networksA: ["banana"] })));
    expect([await database().link.count(), await database().credential.count(), await revisions()]).toEqual([0, 0, before]);
  });

  it("previews what each gateway will get: one starts, the other answers, and no key is in it", async () => {
    const previews = await previewLink(owner, form());
    // Only Amsterdam can be reached, so Berlin starts.
    expect(previews.map((preview) => [preview.siteName, preview.after.initiate])).toEqual([
      ["Amsterdam", "respond"],
      ["Berlin", "start"],
    ]);
    expect(JSON.stringify(previews)).toContain("made when saved");
    expect(await database().link.count()).toBe(0);
  });
});

describe("a saved link", () => {
  it("keeps a version for every change, and none when nothing changed", async () => {
    const { id } = await createLink(owner, form());
    await setLinkEnabled(owner, id, false);
    await setLinkEnabled(owner, id, false);
    expect((await readVersions(owner, id)).map((version) => [version.version, version.summary])).toEqual([
      [2, "Disabled"],
      [1, "Created"],
    ]);
  });

  it("rolls back settings without switching the link on or off", async () => {
    const { id } = await createLink(owner, form());
    await setLinkEnabled(owner, id, false);
    await database().$executeRaw`UPDATE "LinkVersion" SET config = jsonb_set(config, '{esp,rekeySeconds}', '900') WHERE "linkId" = ${id} AND version = 1`;
    await rollbackLink(owner, id, 1);
    const [newest] = await readVersions(owner, id);
    expect([newest?.version, newest?.config.esp.rekeySeconds, newest?.config.enabled]).toEqual([3, 900, false]);
  });

  it("takes its secrets with it when it is deleted, and tells the gateways", async () => {
    const { id } = await createLink(owner, form());
    const secretsBefore = await database().secret.count();
    const before = await revisions();
    await deleteLink(owner, id);
    expect(await database().secret.count()).toBe(secretsBefore - 1);
    expect(await revisions()).toEqual(before.map((revision) => revision + 1));
  });
});

describe("the tunnel's state", () => {
  async function report(id: string, states: readonly ("up" | "down" | "negotiating" | null)[], ageMilliseconds = 0) {
    const gateways = await database().gateway.findMany({ orderBy: { site: { name: "asc" } } });
    const at = new Date(Date.now() - ageMilliseconds);
    for (const [index, gateway] of gateways.entries()) {
      const state = states[index] ?? null;
      await database().gateway.update({ where: { id: gateway.id }, data: { enrolledAt: at, hubId: state === null ? null : "hub", lastHeardAt: at } });
      if (state !== null)
        await database().linkState.update({ where: { linkId_gatewayId: { linkId: id, gatewayId: gateway.id } }, data: { state, since: at, reportedAt: at } });
    }
    return (await linkStatuses(database(), [id])).get(id)?.tunnel;
  }

  it("is up only when every gateway of ours says so now", async () => {
    const { id } = await createLink(owner, form());
    expect(await report(id, ["up", "up"])).toBe("up");
    expect(await report(id, ["up", "negotiating"])).toBe("negotiating");
    expect(await report(id, ["up", "down"])).toBe("down");
    expect(await report(id, ["up", null])).toBe("unknown");
    expect(await report(id, ["up", "up"], 10_000)).toBe("unknown");
  });

  it("is idle when it is on demand and nothing has failed since it was last up", async () => {
    const { id } = await createLink(owner, form({ bringUp: "onDemand" }));
    expect(await report(id, ["down", "down"])).toBe("idle");
    expect(await report(id, ["down", null])).toBe("unknown");
    const failedAt = async (at: number) => {
      await report(id, ["down", "down"]);
      const observed = JSON.stringify({ lastFailure: { at, code: "TIMEOUT", sentence: "No answer." } });
      await database().$executeRaw`UPDATE "LinkState" SET observed = ${observed}::jsonb WHERE "linkId" = ${id}`;
      return (await linkStatuses(database(), [id])).get(id)?.tunnel;
    };
    expect(await failedAt(Date.now())).toBe("down");
    expect(await failedAt(Date.now() - 60_000)).toBe("idle");
  });

  it("is down, not unknown, when a gateway that is heard was not given the link and reports it no more; the overview says why", async () => {
    const { id } = await createLink(owner, form());
    await report(id, ["up", "up"]);
    await database().gateway.update({ where: { siteId: siteA }, data: { revokedAt: new Date() } });
    // Berlin goes on reporting; Amsterdam is not heard.
    const { id: gatewayId } = await database().gateway.findUniqueOrThrow({ where: { siteId: siteB } });
    const status = async () => (await linkStatuses(database(), [id])).get(id);
    const state = { where: { linkId_gatewayId: { linkId: id, gatewayId } } };
    await database().linkState.update({ ...state, data: { reportedAt: new Date(Date.now() - 8_000) } });
    expect((await status())?.tunnel).toBe("unknown");
    const verdictAt = new Date(Date.now() - 9_000);
    const { requiredRevision } = await database().linkState.findUniqueOrThrow(state);
    const refused = { verdict: "refused", verdictReason: "withheld", verdictAt, verdictRevision: requiredRevision } as const;
    await database().linkState.update({ ...state, data: refused });
    expect(await status()).toMatchObject({ tunnel: "down", since: verdictAt });
    const { attention } = await readOverview(owner);
    expect(attention.find(({ href }) => href === `/links/${id}`)).toMatchObject({
      state: "down",
      sentence: expect.stringMatching(
        /^The gateway of Amsterdam was revoked and Berlin does not accept its pre-shared key any more: .* until Amsterdam is enrolled again\.$/,
      ),
    });
    // The SAs of its last report are history.
    await database().$executeRaw`UPDATE "LinkState" SET observed = ${JSON.stringify(observedOf(id))}::jsonb WHERE "linkId" = ${id}`;
    expect((await readLink(owner, id)).ends.map(({ probesSent }) => probesSent)).toEqual([0, 0]);
    // One that still reports it, or was given it since, is believed.
    await database().linkState.update({ ...state, data: { reportedAt: new Date() } });
    expect((await status())?.tunnel).toBe("unknown");
    expect((await readLink(owner, id)).ends.map(({ probesSent }) => probesSent)).toEqual([0, 7]);
    await database().linkState.update({ ...state, data: { reportedAt: new Date(Date.now() - 8_000), requiredRevision: requiredRevision + 1 } });
    expect((await status())?.tunnel).toBe("unknown");
  });

  it("filters, counts and pages in the database, worst first", async () => {
    const { id } = await createLink(owner, form());
    await createLink(owner, form({ name: "Zweite", networksA: ["10.11.0.0/24"], networksB: ["10.12.0.0/24"] }));
    await report(id, ["up", "up"]);
    const all = await listLinks(owner, {});
    expect(all.rows.map((row) => [row.name, row.tunnel])).toEqual([
      ["Zweite", "unknown"],
      ["Amsterdam – Berlin", "up"],
    ]);
    expect(all.counts).toEqual({ up: 1, unknown: 1 });
    expect((await listLinks(owner, { state: "up" })).total).toBe(1);
    expect((await listLinks(owner, { search: "zwei" })).rows.map((row) => row.name)).toEqual(["Zweite"]);
    expect((await listLinks(owner, { search: "100%" })).total).toBe(0);
    for (const sort of ["name", "rx", "tx", "since"]) expect((await listLinks(owner, { sort, direction: "descending" })).rows).toHaveLength(2);
  });
});
