import { Client } from "pg";
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { database } from "../db/client.ts";
import type { ObservedState } from "../../contract/observed-state.ts";
import { setLinkEnabled } from "../links/save-link.ts";
import { createSite } from "../sites/save-site.ts";
import { owner, startTestDatabase } from "../testing/database.ts";
import { reportOf } from "../testing/fake-gateway.ts";
import { createTestLink } from "../testing/link-forms.ts";
import { ReportIngest } from "./ingest-report.ts";
import { removeOldRows } from "./retention.ts";

let stop: () => Promise<void>;
let gatewayId: string;
let linkId: string;
let siteA: string;
let siteB: string;

beforeAll(async () => {
  ({ stop } = await startTestDatabase());
});
afterAll(() => stop());

beforeEach(async () => {
  await database().event.deleteMany();
  await database().link.deleteMany();
  await database().site.deleteMany();
  siteA = (await createSite(owner, { name: "Amsterdam", networks: ["10.1.0.0/24"], address: "192.0.2.1" })).id;
  siteB = (await createSite(owner, { name: "Berlin", networks: ["10.2.0.0/24"], address: "198.51.100.1" })).id;
  linkId = await createTestLink(siteA, siteB);
  gatewayId = (await database().gateway.update({ where: { siteId: siteA }, data: { hubId: "here", enrolledAt: new Date() } })).id;
});

function report(...links: Parameters<typeof reportOf>[1]): ObservedState {
  const message = reportOf(1, links);
  if (message.type !== "report") throw new Error("not a report");
  return message.state;
}

const total = async (resolutionSeconds: number) =>
  (await database().counterSample.findMany({ where: { linkId, resolutionSeconds } })).reduce((sum, row) => sum + Number(row.bytesIn), 0);

describe("a gateway's reports", () => {
  it("become increments at every resolution: across a rekey nothing is lost and nothing counted twice", async () => {
    const ingest = new ReportIngest(gatewayId, "Amsterdam");
    await ingest.take(report({ id: linkId, state: "up", bytes: 700 }), "here");
    await ingest.take(report({ id: linkId, state: "up", bytes: 1_000 }), "here");
    // The rekeyed SA begins anew.
    await ingest.take(report({ id: linkId, state: "up", bytes: 50, spi: "0000cccc" }), "here");
    await ingest.take(report({ id: linkId, state: "up", bytes: 50, spi: "0000cccc" }), "here");
    expect(await Promise.all([total(1), total(60), total(3_600)])).toEqual([350, 350, 350]);
  });

  it("count nothing of what another connection may have counted", async () => {
    await new ReportIngest(gatewayId, "Amsterdam").take(report({ id: linkId, state: "up", bytes: 1_000_000 }), "here");
    expect(await total(1)).toBe(0);
  });

  it("record a change of state once, with the gateway as the one who says so", async () => {
    const ingest = new ReportIngest(gatewayId, "Amsterdam");
    for (const state of ["negotiating", "up", "up", "down", "down"] as const) await ingest.take(report({ id: linkId, state, bytes: 0 }), "here");
    const events = await database().event.findMany({ where: { resourceId: linkId, actorId: null }, orderBy: { id: "asc" } });
    expect(events.map((event) => [event.verb, event.actorName])).toEqual([
      ["up", "Amsterdam"],
      ["down", "Amsterdam"],
    ]);
    // A new connection, or another hub, does not tell it again.
    await new ReportIngest(gatewayId, "Amsterdam").take(report({ id: linkId, state: "down", bytes: 0 }), "here");
    expect(await database().event.count({ where: { resourceId: linkId, actorId: null } })).toBe(2);
  });

  it("pass over links that are no longer there", async () => {
    const gone = "00000000-0000-4000-8000-000000000000";
    await new ReportIngest(gatewayId, "Amsterdam").take(report({ id: gone, state: "up", bytes: 0 }, { id: linkId, state: "up", bytes: 0 }), "here");
    expect((await database().linkState.findMany({ where: { state: "up" } })).map((row) => row.linkId)).toEqual([linkId]);
  });

  it("say nothing of the gateway when another connection holds it", async () => {
    await new ReportIngest(gatewayId, "Amsterdam").take(report(), "elsewhere");
    expect((await database().gateway.findUniqueOrThrow({ where: { id: gatewayId } })).lastHeardAt).toBeNull();
  });

  it("and saves of the same links at once all succeed: none is a dead-lock's victim", async () => {
    const gatewayB = (await database().gateway.update({ where: { siteId: siteB }, data: { hubId: "here" } })).id;
    const reports = [new ReportIngest(gatewayId, "Amsterdam"), new ReportIngest(gatewayB, "Berlin")].map(async (ingest) => {
      for (let count = 0; count < 60; count += 1) await ingest.take(report({ id: linkId, state: "up", bytes: count * 100 }), "here");
    });
    const saves = (async () => {
      for (let count = 0; count < 30; count += 1) await setLinkEnabled(owner, linkId, count % 2 === 1);
    })();
    await Promise.all([...reports, saves]);
    expect((await database().link.findUniqueOrThrow({ where: { id: linkId } })).version).toBe(31);
  });

  it("of 500 links are written with a handful of statements: the next ones come a second later", async () => {
    const config = (await database().link.findUniqueOrThrow({ where: { id: linkId } })).config ?? {};
    const ids = Array.from({ length: 500 }, () => crypto.randomUUID());
    await database().link.createMany({ data: ids.map((id) => ({ id, name: id, siteAId: siteA, siteBId: siteB, config })) });
    const ingest = new ReportIngest(gatewayId, "Amsterdam");
    const all = (bytes: number) => report(...ids.map((id) => ({ id, state: "negotiating" as const, bytes })));
    await ingest.take(all(0), "here");
    const statements = vi.spyOn(Client.prototype, "query");
    await ingest.take(all(100), "here");
    expect(statements.mock.calls.length).toBeGreaterThan(0);
    expect(statements.mock.calls.length).toBeLessThan(20);
    statements.mockRestore();
    expect(await database().counterSample.count({ where: { linkId: { in: ids }, resolutionSeconds: 1, bytesIn: 100 } })).toBe(500);
  });
});

describe("removeOldRows", () => {
  it("keeps the newest trace entries of each link and drops the rest", async () => {
    const entry = { gatewayId, linkId, at: new Date(), direction: "sent" as const, exchange: "IKE_AUTH", summary: "", detail: {} };
    await database().traceEntry.createMany({ data: Array.from({ length: 5_003 }, (_, sequence) => ({ ...entry, sequence })) });
    await database().traceEntry.create({ data: { ...entry, linkId: null, sequence: 0 } });
    await removeOldRows();
    const kept = await database().traceEntry.findMany({ where: { linkId }, orderBy: { id: "asc" }, take: 1 });
    expect([kept[0]?.sequence, await database().traceEntry.count()]).toEqual([3, 5_001]);
  });

  it("drops samples of a resolution that no chart reads any more, and no others", async () => {
    const hour = 3_600_000;
    const sample = (resolutionSeconds: number, age: number) => ({ linkId, gatewayId, resolutionSeconds, at: new Date(Date.now() - age) });
    await database().counterSample.createMany({
      data: [sample(1, hour), sample(1, 3 * hour), sample(60, 3 * hour), sample(60, 300 * hour), sample(3_600, 300 * hour)],
    });
    await removeOldRows();
    const kept = await database().counterSample.findMany({ orderBy: [{ resolutionSeconds: "asc" }] });
    expect(kept.map((row) => row.resolutionSeconds)).toEqual([1, 60, 3_600]);
  });
});
