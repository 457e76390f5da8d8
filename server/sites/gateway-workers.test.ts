import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { ObservedState } from "../../contract/observed-state.ts";
import { database } from "../db/client.ts";
import { Conflict, Invalid } from "../errors.ts";
import { compileDesiredState } from "../publishing/compile-desired-state.ts";
import { ReportIngest } from "../reports/ingest-report.ts";
import { owner, startTestDatabase } from "../testing/database.ts";
import { reportOf } from "../testing/fake-gateway.ts";
import { createTestLink } from "../testing/link-forms.ts";
import { setGatewayWorkers } from "./gateway-workers.ts";
import { readSite } from "./list-sites.ts";
import { createSite } from "./save-site.ts";

let stop: () => Promise<void>;
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
});

const gatewayAt = (siteId: string) => database().gateway.findUniqueOrThrow({ where: { siteId } });
const changes = () => database().event.findMany({ where: { resource: "gateway", verb: "changed" } });
const viewOf = async (siteId: string) => (await readSite(owner, siteId)).gateway;

/** What the gateway of Amsterdam reports besides a link that does not matter here. */
async function report(besides: Partial<ObservedState>): Promise<void> {
  const { id } = await database().gateway.update({ where: { siteId: siteA }, data: { hubId: "here", enrolledAt: new Date() } });
  const message = reportOf(1, []);
  if (message.type !== "report") throw new Error("not a report");
  await new ReportIngest(id, "Amsterdam").take({ ...message.state, ...besides }, "here");
}

describe("a gateway's workers", () => {
  it("are told to that gateway alone, under a new revision, and recorded with what they were", async () => {
    await createTestLink(siteA, siteB);
    const before = await Promise.all([gatewayAt(siteA), gatewayAt(siteB)]);
    await setGatewayWorkers(owner, siteA, { outbound: 4, inbound: 2 });
    const after = await Promise.all([gatewayAt(siteA), gatewayAt(siteB)]);
    expect(after.map(({ desiredRevision }, index) => desiredRevision - (before[index]?.desiredRevision ?? 0))).toEqual([1, 0]);
    expect((await compileDesiredState(after[0].id)).state.gateway).toMatchObject({ outboundWorkers: 4, inboundWorkers: 2 });
    expect(await changes()).toMatchObject([
      {
        actorName: owner.name,
        summary: "The gateway of Amsterdam was given 4 processor cores to send and 2 processor cores to receive",
        before: { outbound: 1, inbound: 1 },
        after: { outbound: 4, inbound: 2 },
      },
    ]);
  });

  it("that are as they were cost no revision and no event: a gateway that is told anew would look at every link", async () => {
    const { desiredRevision } = await gatewayAt(siteA);
    await setGatewayWorkers(owner, siteA, { outbound: 1, inbound: 1 });
    expect([(await gatewayAt(siteA)).desiredRevision, await changes()]).toEqual([desiredRevision, []]);
  });

  it.each([
    ["outbound", { outbound: 0, inbound: 1 }],
    ["inbound", { outbound: 1, inbound: 17 }],
    ["outbound", { outbound: 1.5, inbound: 1 }],
    ["inbound", { outbound: 1, inbound: "2" }],
    ["inbound", { outbound: 2 }],
  ])("are refused at the field when they are no number that a gateway takes: %s of %j", async (field, form) => {
    const refusal = await setGatewayWorkers(owner, siteA, form).catch((error: unknown) => error);
    expect(refusal).toBeInstanceOf(Invalid);
    expect((refusal as Invalid).fields).toEqual({ [field]: "A whole number from 1 to 16." });
  });

  it("are refused for an agent that knows none: it would refuse everything it is told", async () => {
    await report({});
    await expect(setGatewayWorkers(owner, siteA, { outbound: 2, inbound: 2 })).rejects.toThrow(Conflict);
    await report({ processors: 8 });
    await setGatewayWorkers(owner, siteA, { outbound: 2, inbound: 2 });
    expect((await viewOf(siteA)).workers.wanted).toEqual({ outbound: 2, inbound: 2 });
  });

  it("are shown as wanted and as they run, with the gateway's reason where the two differ", async () => {
    expect(await viewOf(siteA)).toMatchObject({ processors: null, workers: { wanted: { outbound: 1, inbound: 1 }, running: null, refusal: null } });
    await setGatewayWorkers(owner, siteA, { outbound: 8, inbound: 8 });
    await report({ processors: 4, workers: { outbound: 1, inbound: 1 }, settingsRefusal: "no room" });
    expect(await viewOf(siteA)).toMatchObject({
      processors: 4,
      workers: { wanted: { outbound: 8, inbound: 8 }, running: { outbound: 1, inbound: 1 }, refusal: "no room" },
    });
    await report({ processors: 4, workers: { outbound: 8, inbound: 8 } });
    expect((await viewOf(siteA)).workers).toMatchObject({ running: { outbound: 8, inbound: 8 }, refusal: null });
  });
});
