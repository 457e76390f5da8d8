import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { listEvents, exportEvents } from "../audit/list-events.ts";
import { runLinkCommand } from "../commands/run-command.ts";
import { database } from "../db/client.ts";
import { Conflict, Forbidden, Invalid } from "../errors.ts";
import { listKeys } from "../keys/list-keys.ts";
import { listLinks } from "../links/list-links.ts";
import { presets } from "../links/presets.ts";
import { previewLink } from "../links/preview-link.ts";
import { readLink, readTrace, readVersions } from "../links/read-link.ts";
import { createLink, deleteLink, rollbackLink, setLinkEnabled } from "../links/save-link.ts";
import { readOverview } from "../overview/read-overview.ts";
import { readSeries } from "../reports/read-series.ts";
import { requestLinkRun, requestScheduledRuns } from "../rotation/request-run.ts";
import { listRotations, pauseSchedule, saveSchedule } from "../rotation/schedules.ts";
import { openSecret } from "../secrets/store.ts";
import { createEnrolmentToken, revokeGateway } from "../sites/enrolment.ts";
import { listSites, readSite } from "../sites/list-sites.ts";
import { createSite, deleteSite, updateSite } from "../sites/save-site.ts";
import { owner, startTestDatabase } from "../testing/database.ts";
import type { Actor } from "./actor.ts";
import { completeSetup, needsSetup, prepareSetup } from "./setup.ts";
import { addUser, listUsers, setUserDisabled, setUserRole } from "./users.ts";

const planted = "planted-PSK-4f9b1c7e-do-not-leak";
const viewer: Actor = { ...owner, userId: "viewer", name: "Vi", role: "viewer" };
const operator: Actor = { ...owner, userId: "operator", name: "Op", role: "operator" };

let stop: () => Promise<void>;
let siteId: string;
let linkId: string;

beforeAll(async () => {
  ({ stop } = await startTestDatabase());
});
afterAll(() => stop());

describe("setup", () => {
  it("takes the newest printed code, once", async () => {
    expect(await needsSetup()).toBe(true);
    const old = await prepareSetup();
    const code = await prepareSetup();
    const form = { name: "Ada", email: "ada@example.com", password: "correct horse battery" };
    await expect(completeSetup({ ...form, code: old })).rejects.toBeInstanceOf(Invalid);
    await expect(completeSetup({ ...form, code, password: "short" })).rejects.toBeInstanceOf(Invalid);
    await completeSetup({ ...form, code: code?.toLowerCase() });
    await expect(completeSetup({ ...form, email: "eve@example.com", code })).rejects.toBeInstanceOf(Conflict);
    expect(await prepareSetup()).toBeNull();
    expect((await database().user.findMany()).map((user) => [user.email, user.role])).toEqual([["ada@example.com", "owner"]]);
  });
});

describe("roles", () => {
  beforeAll(async () => {
    siteId = (await createSite(owner, { name: "Amsterdam", networks: ["10.1.0.0/24"], address: "192.0.2.1" })).id;
    const [preset] = presets;
    const peer = { kind: "third-party", name: "Partner", address: "203.0.113.9", identity: "203.0.113.9" };
    const form = {
      name: "Link",
      siteAId: siteId,
      peer,
      networksA: ["10.1.0.0/24"],
      networksB: ["10.2.0.0/24"],
      preset: "modern",
      method: "psk",
      secret: planted,
    };
    const lifetimes = { ikeRekeySeconds: 14_400, espRekeySeconds: 3_600, livenessSeconds: 10 };
    linkId = (await createLink(owner, { ...form, ...lifetimes, ikeProposals: preset?.ikeProposals, espProposals: preset?.espProposals })).id;
  });

  const edits: Readonly<Record<string, (actor: Actor) => Promise<unknown>>> = {
    createSite: (actor) => createSite(actor, {}),
    updateSite: (actor) => updateSite(actor, siteId, {}),
    deleteSite: (actor) => deleteSite(actor, siteId),
    createEnrolmentToken: (actor) => createEnrolmentToken(actor, siteId),
    revokeGateway: (actor) => revokeGateway(actor, siteId),
    createLink: (actor) => createLink(actor, {}),
    previewLink: (actor) => previewLink(actor, {}),
    setLinkEnabled: (actor) => setLinkEnabled(actor, linkId, false),
    rollbackLink: (actor) => rollbackLink(actor, linkId, 1),
    deleteLink: (actor) => deleteLink(actor, linkId),
    saveSchedule: (actor) => saveSchedule(actor, null, {}),
    pauseSchedule: (actor) => pauseSchedule(actor, "x", true),
    addUser: (actor) => addUser(actor, {}),
    setUserRole: (actor) => setUserRole(actor, "x", "owner"),
    setUserDisabled: (actor) => setUserDisabled(actor, "x", true),
  };
  const operations: Readonly<Record<string, (actor: Actor) => Promise<unknown>>> = {
    rekey: (actor) => runLinkCommand(actor, { name: "rekey", linkId, what: "all" }),
    requestLinkRun: (actor) => requestLinkRun(actor, linkId, true),
    requestScheduledRuns: (actor) => requestScheduledRuns(actor, "x", true),
  };

  it.each(Object.entries(edits))("%s is for owners alone", async (_name, act) => {
    await expect(act(viewer)).rejects.toBeInstanceOf(Forbidden);
    await expect(act(operator)).rejects.toBeInstanceOf(Forbidden);
  });
  it.each(Object.entries(operations))("%s is not for viewers", async (_name, act) => {
    await expect(act(viewer)).rejects.toBeInstanceOf(Forbidden);
  });
  it("lets an operator ask for a rotation, and only for one at a time", async () => {
    await requestLinkRun(operator, linkId, true);
    await expect(requestLinkRun(operator, linkId, true)).rejects.toBeInstanceOf(Conflict);
  });
  it("keeps owners from locking themselves out", async () => {
    const [self] = await database().user.findMany();
    await expect(setUserRole({ ...owner, userId: self?.id ?? "" }, self?.id ?? "", "viewer")).rejects.toBeInstanceOf(Conflict);
  });
});

describe("a planted pre-shared key", () => {
  it("is in no row of the database but sealed, and still opens", async () => {
    const tables = await database().$queryRaw<{ tablename: string }[]>`SELECT tablename FROM pg_tables WHERE schemaname = 'public'`;
    const needles = [planted, Buffer.from(planted).toString("hex"), Buffer.from(planted).toString("base64").slice(0, 40)];
    for (const { tablename } of tables) {
      const rows = await database().$queryRawUnsafe<{ row: string }[]>(`SELECT t::text AS row FROM "${tablename}" t`);
      for (const { row } of rows) for (const needle of needles) expect(row.includes(needle), tablename).toBe(false);
    }
    const credential = await database().credential.findFirstOrThrow({ where: { linkId } });
    expect(await openSecret(database(), credential.secretId ?? "")).toBe(planted);
  });

  it("is in no answer, whoever asks", async () => {
    const answers: unknown[] = [];
    for (const actor of [viewer, operator, owner]) {
      answers.push(await readOverview(actor), await listSites(actor), await readSite(actor, siteId), await listLinks(actor, {}), await readLink(actor, linkId));
      answers.push(await readVersions(actor, linkId), await readTrace(actor, linkId), await readSeries(actor, linkId, "1h"), await listKeys(actor));
      answers.push(await listRotations(actor), await listEvents(actor, {}), await listUsers(actor));
      for await (const chunk of exportEvents(actor, {})) answers.push(chunk);
    }
    expect(JSON.stringify(answers)).not.toContain(planted);
  });
});
