import { randomUUID } from "node:crypto";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { addUser, setUserDisabled, setUserRole } from "../auth/users.ts";
import { type Change, subscribe } from "../db/changes.ts";
import { database } from "../db/client.ts";
import { Conflict, Invalid, NotFound } from "../errors.ts";
import { createLink, deleteLink, rollbackLink, setLinkEnabled } from "../links/save-link.ts";
import { requestLinkRun } from "../rotation/request-run.ts";
import { deleteSchedule, pauseSchedule, saveSchedule } from "../rotation/schedules.ts";
import { reissueCertificate, revokeCertificate } from "../keys/revoke-certificate.ts";
import { createEnrolmentToken, revokeGateway } from "../sites/enrolment.ts";
import { createSite, deleteSite, updateSite } from "../sites/save-site.ts";
import { owner, startTestDatabase } from "../testing/database.ts";
import { createTestLink, linkFormOf } from "../testing/link-forms.ts";
import { until } from "../testing/until.ts";
import { exportEvents, listEventActors, listEvents } from "./list-events.ts";

let stop: () => Promise<void>;
let changes: Change[];
let unsubscribe: () => void;
let siteA: string;
let siteB: string;
let siteC: string;
let linkId: string;
let userId: string;
let scheduleId: string;

const schedule = { name: "Weekly", kind: "psk", linkId: null, cron: "0 3 * * 1", timeZone: "Europe/Berlin" };
const user = { name: "Una", email: "una@example.test", password: "correct horse battery", role: "viewer" };

beforeAll(async () => {
  ({ stop } = await startTestDatabase());
  unsubscribe = await subscribe((change) => changes.push(change));
});
afterAll(async () => {
  unsubscribe();
  await stop();
});

beforeEach(async () => {
  changes = [];
  await database().rotationSchedule.deleteMany();
  await database().link.deleteMany();
  await database().site.deleteMany();
  await database().user.deleteMany();
  [siteA, siteB, siteC] = [
    (await createSite(owner, { name: "Amsterdam", networks: ["10.1.0.0/24"], address: "192.0.2.1" })).id,
    (await createSite(owner, { name: "Berlin", networks: ["10.2.0.0/24"], address: "" })).id,
    (await createSite(owner, { name: "Copenhagen", networks: ["10.3.0.0/24"], address: "" })).id,
  ];
  await database().gateway.updateMany({ data: { enrolledAt: new Date() } });
  linkId = await createTestLink(siteA, siteB);
  await setLinkEnabled(owner, linkId, false);
  await createTestLink(siteA, siteB, { name: "By certificate", method: "certificate", networksA: ["10.11.0.0/24"], networksB: ["10.12.0.0/24"] });
  await saveSchedule(owner, null, schedule);
  scheduleId = (await database().rotationSchedule.findFirstOrThrow()).id;
  await addUser(owner, user);
  userId = (await database().user.findFirstOrThrow()).id;
  await database().event.deleteMany();
});

/** Everything that changes something, with the event it must leave: kind, and which of before and after it tells. */
const acts: Readonly<Record<string, readonly [kind: string, sides: string, act: () => Promise<unknown>]>> = {
  createSite: ["site.created", "after", () => createSite(owner, { name: "Dublin", networks: ["10.4.0.0/24"], address: "" })],
  updateSite: ["site.changed", "before after", () => updateSite(owner, siteA, { name: "Amsterdam", networks: ["10.1.0.0/24"], address: "192.0.2.2" })],
  deleteSite: ["site.deleted", "before", () => deleteSite(owner, siteC)],
  createEnrolmentToken: ["gateway.invited", "", () => createEnrolmentToken(owner, siteA)],
  revokeCertificate: ["key.revoked", "", async () => revokeCertificate(owner, (await certificate()).id)],
  reissueCertificate: ["key.issued", "", async () => reissueRevoked()],
  revokeGateway: ["gateway.revoked", "", () => revokeGateway(owner, siteA)],
  createLink: ["link.created", "after", () => createLink(owner, linkFormOf(siteA, siteC, { name: "Second", networksB: ["10.3.0.0/24"] }))],
  setLinkEnabled: ["link.enabled", "before after", () => setLinkEnabled(owner, linkId, true)],
  rollbackLink: ["link.changed", "before after", async () => changeThenRollBack()],
  deleteLink: ["link.deleted", "before", () => deleteLink(owner, linkId)],
  saveSchedule: ["rotation.changed", "before after", () => saveSchedule(owner, scheduleId, { ...schedule, cron: "0 4 * * 1" })],
  deleteSchedule: ["rotation.deleted", "before", () => deleteSchedule(owner, scheduleId)],
  pauseSchedule: ["rotation.paused", "", () => pauseSchedule(owner, scheduleId, true)],
  requestLinkRun: ["rotation.requested", "", () => requestLinkRun(owner, linkId, true)],
  addUser: ["user.created", "after", () => addUser(owner, { ...user, email: "second@example.test" })],
  setUserRole: ["user.changed", "before after", () => setUserRole(owner, userId, "operator")],
  setUserDisabled: ["user.changed", "before after", () => setUserDisabled(owner, userId, true)],
};

async function changeThenRollBack(): Promise<void> {
  await database().$executeRaw`UPDATE "LinkVersion" SET config = jsonb_set(config, '{esp,rekeySeconds}', '900') WHERE "linkId" = ${linkId} AND version = 1`;
  await rollbackLink(owner, linkId, 1);
}

const certificate = () => database().credential.findFirstOrThrow({ where: { kind: "certificate", end: "A", state: "active" } });

async function reissueRevoked(): Promise<void> {
  const { id } = await certificate();
  await database().credential.update({ where: { id }, data: { revokedAt: new Date() } });
  await reissueCertificate(owner, id);
}

describe("every change", () => {
  it.each(Object.entries(acts))("%s leaves one event, with who did it and what was before and after", async (_name, [kind, sides, act]) => {
    await act();
    const { rows } = await listEvents(owner, {});
    expect(rows.map((row) => [row.kind, row.actor])).toEqual([[kind, owner.name]]);
    expect([rows[0]?.before ? "before" : "", rows[0]?.after ? "after" : ""].filter(Boolean).join(" ")).toBe(sides);
    await until(async () => changes.some((change) => change.resource === "event"));
  });

  it.each(Object.entries(acts))("%s is not made when its event cannot be written, and nobody is told of it", async (_name, [, , act]) => {
    await database().$executeRaw`CREATE OR REPLACE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'full'; END $$`;
    await database().$executeRaw`CREATE TRIGGER refuse BEFORE INSERT ON "Event" FOR EACH ROW EXECUTE FUNCTION refuse()`;
    try {
      const before = await everything();
      await settled();
      const told = changes.length;
      await expect(act()).rejects.toThrow();
      // What an act needs first is the test's own.
      const after = await everything();
      const prepared = new Map([
        [acts.rollbackLink?.[2], "LinkVersion"],
        [acts.reissueCertificate?.[2], "Credential"],
      ]);
      for (const table of Object.keys(before)) if (!(prepared.get(act) === table)) expect(after[table], table).toEqual(before[table]);
      await settled();
      expect(changes.length).toBe(told);
    } finally {
      await database().$executeRaw`DROP TRIGGER refuse ON "Event"`;
    }
  });
});

/** Waits until the changes announced so far have come in: a mark of our own comes after them. */
async function settled(): Promise<boolean> {
  const id = randomUUID();
  await database().$executeRaw`SELECT pg_notify('culvert_changes', ${`key:${id}`})`;
  await until(async () => changes.some((change) => change.id === id));
  changes = changes.filter((change) => change.id !== id);
  return true;
}

async function everything(): Promise<Record<string, string[]>> {
  const tables = await database().$queryRaw<{ tablename: string }[]>`SELECT tablename FROM pg_tables WHERE schemaname = 'public'`;
  const texts: Record<string, string[]> = {};
  for (const { tablename } of tables)
    texts[tablename] = (await database().$queryRawUnsafe<{ row: string }[]>(`SELECT t::text AS row FROM "${tablename}" t ORDER BY 1`)).map((each) => each.row);
  return texts;
}

afterEach(async () => {
  await database().event.deleteMany();
});

describe("two changes at once", () => {
  const outcomes = async (works: readonly Promise<unknown>[]) =>
    (await Promise.allSettled(works)).map((each) => (each.status === "rejected" ? each.reason : "saved"));

  it("of overlapping sites: one is saved, the other is told why", async () => {
    const site = (name: string, network: string) => createSite(owner, { name, networks: [network], address: "" });
    const [first, second] = (await outcomes([site("Essen", "10.50.0.0/16"), site("Fulda", "10.50.7.0/24")])).toSorted((x) => (x === "saved" ? -1 : 1));
    expect(first).toBe("saved");
    expect(second).toBeInstanceOf(Invalid);
  });

  it("of links to the same network: one is saved, the other is told why", async () => {
    const link = (name: string) => createLink(owner, linkFormOf(siteA, siteC, { name, networksB: ["10.3.0.0/24"] }));
    const ends = await outcomes([link("One"), link("Two"), link("Three")]);
    expect(ends.filter((end) => end === "saved")).toHaveLength(1);
    expect(ends.filter((end) => end instanceof Invalid)).toHaveLength(2);
  });

  const namesAndFields = async (works: readonly Promise<unknown>[]) =>
    (await outcomes(works)).map((end) => (end instanceof Invalid ? end.fields : end)).toSorted((x) => (x === "saved" ? -1 : 1));

  it("of one name or address: one is saved, the other is told so at the field, whatever it is", async () => {
    const site = (network: string) => createSite(owner, { name: "Essen", networks: [network], address: "" });
    const link = (to: string, network: string) => createLink(owner, linkFormOf(siteA, to, { name: "Twin", networksB: [network] }));
    const siteD = (await createSite(owner, { name: "Dublin", networks: ["10.4.0.0/24"], address: "" })).id;
    const newUser = (name: string) => addUser(owner, { ...user, name, email: "twin@example.test" });
    const newSchedule = (cron: string) => saveSchedule(owner, null, { ...schedule, name: "Twin", cron });
    const taken = (what: string) => `There is a ${what} already.`;
    expect(await namesAndFields([site("10.50.0.0/24"), site("10.51.0.0/24")])).toEqual(["saved", { name: taken("site of this name") }]);
    expect(await namesAndFields([link(siteC, "10.3.0.0/24"), link(siteD, "10.4.0.0/24")])).toEqual(["saved", { name: taken("link of this name") }]);
    expect(await namesAndFields([newSchedule("0 3 * * 1"), newSchedule("0 4 * * 1")])).toEqual(["saved", { name: taken("schedule of this name") }]);
    expect(await namesAndFields([newUser("One"), newUser("Two")])).toEqual(["saved", { email: taken("user with this address") }]);
  });

  it("of two owners who take each other's role: one of them stays an owner", async () => {
    for (const name of ["One", "Two"]) await addUser(owner, { ...user, name, email: `${name}@example.test`, role: "owner" });
    const [one, two] = (await database().user.findMany({ where: { role: "owner" } })).map((row) => ({ ...owner, userId: row.id, name: row.name }));
    if (one === undefined || two === undefined) throw new Error("there are not two owners");
    const ends = await outcomes([setUserRole(one, two.userId, "viewer"), setUserDisabled(two, one.userId, true)]);
    expect(ends.filter((end) => end === "saved")).toHaveLength(1);
    expect(ends.find((end) => end !== "saved")).toBeInstanceOf(Conflict);
    expect(await database().user.count({ where: { role: "owner", disabled: false } })).toBe(1);
  });

  it("of rotations of one link: one is asked for", async () => {
    const ends = await outcomes([1, 2, 3, 4].map(() => requestLinkRun(owner, linkId, true)));
    expect(ends.filter((end) => end instanceof Conflict)).toHaveLength(3);
    expect(await database().rotationRun.count({ where: { linkId } })).toBe(1);
  });

  it("of enrolment commands for one site: only the newest may be used", async () => {
    await outcomes([1, 2, 3, 4].map(() => createEnrolmentToken(owner, siteA)));
    expect(await database().enrolmentToken.count({ where: { gateway: { siteId: siteA } } })).toBe(1);
  });

  it("that delete the same: one does it, the other is told that it is gone", async () => {
    const gone = [expect.any(NotFound), "saved"];
    const both = async (act: () => Promise<unknown>) => (await outcomes([act(), act()])).toSorted((x) => (x === "saved" ? 1 : -1));
    expect(await both(() => deleteSchedule(owner, scheduleId))).toEqual(gone);
    expect(await both(() => deleteSite(owner, siteC))).toEqual(gone);
    expect(await both(() => deleteLink(owner, linkId))).toEqual(gone);
  });

  it("of one link: each becomes a version of its own", async () => {
    const { version } = await database().link.findUniqueOrThrow({ where: { id: linkId } });
    const ends = await outcomes(Array.from({ length: 8 }, (_, index) => setLinkEnabled(owner, linkId, index % 2 === 0)));
    expect(ends).toEqual(Array.from({ length: 8 }, () => "saved"));
    const versions = await database().linkVersion.findMany({ where: { linkId }, orderBy: { version: "asc" } });
    const link = await database().link.findUniqueOrThrow({ where: { id: linkId } });
    expect(versions.at(-1)?.version).toBe(link.version);
    expect(versions.map((each) => each.version)).toEqual(Array.from({ length: link.version }, (_, index) => index + 1));
    expect(link.version).toBeGreaterThan(version);
  });
});

describe("the event list", () => {
  it("filters by kind and by text, and exports all that match, newest first, in chunks", async () => {
    const at = { actorName: "Ada", verb: "down", summary: "…" };
    await database().event.createMany({ data: Array.from({ length: 2_050 }, (_, index) => ({ ...at, resource: "link", resourceName: `Link ${index}` })) });
    await database().event.create({ data: { ...at, resource: "site", resourceName: "Link to nowhere" } });
    expect((await listEvents(owner, { kind: "site" })).total).toBe(1);
    expect((await listEvents(owner, { search: "link 20" })).total).toBe(1 + 10 + 50);
    const sizes: number[] = [];
    let last = Number.POSITIVE_INFINITY;
    for await (const chunk of exportEvents(owner, { kind: "link" })) {
      sizes.push(chunk.length);
      for (const event of chunk) {
        expect(Number(event.id)).toBeLessThan(last);
        last = Number(event.id);
      }
    }
    expect(sizes).toEqual([1_000, 1_000, 50]);
  });

  it("filters by who did it and by the link or site it was about, with its rotations and its gateway", async () => {
    await requestLinkRun({ ...owner, name: "Oscar" }, linkId, true);
    await setLinkEnabled(owner, linkId, true);
    await createEnrolmentToken(owner, siteA);
    await updateSite(owner, siteA, { name: "Amstelveen", networks: ["10.1.0.0/24"], address: "192.0.2.1" });
    const kinds = async (query: Record<string, string>) => (await listEvents(owner, query)).rows.map((row) => row.kind);
    expect(await kinds({ actor: "Oscar" })).toEqual(["rotation.requested"]);
    expect(await kinds({ about: linkId })).toEqual(["link.enabled", "rotation.requested"]);
    expect(await kinds({ about: siteA })).toEqual(["site.changed", "gateway.invited"]);
    expect(await kinds({ about: linkId, actor: owner.name })).toEqual(["link.enabled"]);
    expect(await kinds({ about: siteC })).toEqual([]);
  });

  it("names everybody who can be filtered by: who has an account, and who else has acted", async () => {
    await setLinkEnabled({ ...owner, name: "Gone since" }, linkId, true);
    expect(await listEventActors(owner)).toEqual(["Gone since", "Una"]);
  });

  it("filters by day, both ends included, and takes nonsense for no filter", async () => {
    const day = (text: string) => ({ resource: "system", verb: "noted", actorName: "Ada", summary: "…", at: new Date(text) }) as const;
    await database().event.createMany({ data: ["2001-02-03T00:00:00Z", "2001-02-04T23:59:59.999Z", "2001-02-05T00:00:00Z"].map(day) });
    const total = async (query: Record<string, string>) => (await listEvents(owner, { ...query, kind: "system" })).total;
    expect(await total({ from: "2001-02-03", to: "2001-02-04" })).toBe(2);
    expect(await total({ from: "2001-02-04", to: "2001-02-05" })).toBe(2);
    expect(await total({ to: "2001-02-02" })).toBe(0);
    expect(await total({ from: "yesterday", to: "2001-02-30" })).toBe(await total({}));
  });
});
