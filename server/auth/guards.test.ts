import { inspect } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { exportEvents, listEvents } from "../audit/list-events.ts";
import { database } from "../db/client.ts";
import { Conflict, Invalid } from "../errors.ts";
import { listKeys } from "../keys/list-keys.ts";
import { listLinks } from "../links/list-links.ts";
import { previewLink } from "../links/preview-link.ts";
import { readLink, readTrace, readVersions } from "../links/read-link.ts";
import { createLink } from "../links/save-link.ts";
import { readOverview } from "../overview/read-overview.ts";
import { readSeries } from "../reports/read-series.ts";
import { requestLinkRun } from "../rotation/request-run.ts";
import { listRotations } from "../rotation/schedules.ts";
import { unsealSecret } from "../secrets/store.ts";
import { createEnrolmentToken } from "../sites/enrolment.ts";
import { listSites, readSite } from "../sites/list-sites.ts";
import { createSite } from "../sites/save-site.ts";
import { owner, startTestDatabase } from "../testing/database.ts";
import { createTestLink, linkFormOf } from "../testing/link-forms.ts";
import type { Actor } from "./actor.ts";
import { completeSetup, needsSetup, prepareSetup } from "./setup.ts";
import { listUsers, setUserRole } from "./users.ts";

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

describe("what a role allows, the state may not", () => {
  beforeAll(async () => {
    siteId = (await createSite(owner, { name: "Amsterdam", networks: ["10.1.0.0/24"], address: "192.0.2.1" })).id;
    linkId = (await createLink(owner, thirdParty())).id;
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

describe("a planted pre-shared key, every private key and an enrolment token", () => {
  let needles: string[];

  beforeAll(async () => {
    const berlin = (await createSite(owner, { name: "Berlin", networks: ["10.3.0.0/24"], address: "" })).id;
    await createTestLink(siteId, berlin, { name: "By certificate", method: "certificate", networksB: ["10.3.0.0/24"] });
    // The hub's authority is made with the first enrolment command.
    const { token } = await createEnrolmentToken(owner, berlin);
    const secrets = (await database().secret.findMany()).map(unsealSecret);
    expect(secrets).toContain(planted);
    expect(secrets.filter((secret) => secret.includes("PRIVATE KEY"))).toHaveLength(4);
    // Of a private key a line from its middle: the first says of every key that it is on P-256.
    const texts = secrets.map((secret) => (secret.includes("PRIVATE KEY") ? (secret.split("\n")[2] ?? "") : secret));
    texts.push(token.split(".")[1] ?? "");
    needles = texts.flatMap((text) => [text, Buffer.from(text).toString("hex"), Buffer.from(text).toString("base64").slice(0, 40)]);
    expect(needles.every((needle) => needle.length >= 20)).toBe(true);
  });

  const holds = (text: string) => needles.filter((needle) => text.includes(needle));

  it("are in no row of the database but sealed", async () => {
    const tables = await database().$queryRaw<{ tablename: string }[]>`SELECT tablename FROM pg_tables WHERE schemaname = 'public'`;
    let rowCount = 0;
    for (const { tablename } of tables) {
      const rows = await database().$queryRawUnsafe<{ row: string }[]>(`SELECT t::text AS row FROM "${tablename}" t`);
      rowCount += rows.length;
      for (const { row } of rows) expect(holds(row), tablename).toEqual([]);
    }
    expect(rowCount).toBeGreaterThan(30);
  });

  it("are in no answer, whoever asks", async () => {
    const answers: unknown[] = [];
    const linkIds = (await database().link.findMany()).map((link) => link.id);
    for (const actor of [viewer, operator, owner]) {
      answers.push(await readOverview(actor), await listSites(actor), await readSite(actor, siteId), await listLinks(actor, {}), await listKeys(actor));
      for (const each of linkIds)
        answers.push(await readLink(actor, each), await readVersions(actor, each), await readTrace(actor, each), await readSeries(actor, each, "1h"));
      answers.push(await listRotations(actor), await listEvents(actor, {}), await listUsers(actor));
      for await (const chunk of exportEvents(actor, {})) answers.push(chunk);
    }
    answers.push(await previewLink(owner, thirdParty({ name: "Preview", networksB: ["10.8.0.0/24"] })));
    const told = JSON.stringify(answers);
    expect(told).toContain("By certificate");
    expect(holds(told)).toEqual([]);
  });

  it("are in no error, of a refusal or of the database", async () => {
    const errors: unknown[] = [];
    const keep = (error: unknown) => void errors.push(error);
    await createLink(owner, thirdParty({ networksA: ["banana"] })).catch(keep);
    await createLink(owner, thirdParty({ secret: planted.repeat(20) })).catch(keep);
    await database().$executeRaw`CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'full'; END $$`;
    await database().$executeRaw`CREATE TRIGGER refuse BEFORE INSERT ON "Secret" FOR EACH ROW EXECUTE FUNCTION refuse()`;
    await createLink(owner, thirdParty({ name: "Third", networksB: ["10.7.0.0/24"] })).catch(keep);
    await database().$executeRaw`DROP TRIGGER refuse ON "Secret"`;
    expect(errors).toHaveLength(3);
    expect(holds(errors.map((error) => inspect(error, { depth: 8 })).join("\n"))).toEqual([]);
  });
});

function thirdParty(change: Record<string, unknown> = {}): Record<string, unknown> {
  const peer = { kind: "third-party", name: "Partner", address: "203.0.113.9", identity: "203.0.113.9" };
  return linkFormOf(siteId, "", { name: "Link", peer, secret: planted, ...change });
}
