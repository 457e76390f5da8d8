import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { once } from "node:events";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { runReplay } from "../../agent/runtime/replay-command.ts";
import { buildTraceFile } from "../../agent/runtime/trace-file.ts";
import { TraceLog } from "../../agent/runtime/trace-log.ts";
import { failureScenarios } from "../../agent/testing/failures.ts";
import { sourceOf } from "../../agent/testing/traced.ts";
import type { TraceFile } from "../../contract/trace-file.ts";
import { database } from "../db/client.ts";
import { Conflict, NotFound } from "../errors.ts";
import { type RunningHub, startHub } from "../hub/start-hub.ts";
import { removeOldRows } from "../reports/retention.ts";
import { createSite } from "../sites/save-site.ts";
import { owner, startTestDatabase } from "../testing/database.ts";
import { endConnections, enrolAndConnect, type FakeGateway } from "../testing/fake-gateway.ts";
import { createTestLink } from "../testing/link-forms.ts";
import { until } from "../testing/until.ts";
import { exportTrace } from "./export-trace.ts";

let stopDatabase: () => Promise<void>;
let hub: RunningHub;
let gateway: FakeGateway;
let siteA: string;
let siteB: string;
let linkId: string;

beforeAll(async () => {
  ({ stop: stopDatabase } = await startTestDatabase());
  hub = await startHub({ port: 0, bind: "127.0.0.1", unixPath: null, log: () => {} });
});
beforeEach(async () => {
  await database().link.deleteMany();
  await database().site.deleteMany();
  siteA = (await createSite(owner, { name: "Amsterdam", networks: ["10.1.0.0/24"], address: "192.0.2.1" })).id;
  siteB = (await createSite(owner, { name: "Berlin", networks: ["10.2.0.0/24"], address: "198.51.100.1" })).id;
  linkId = await createTestLink(siteA, siteB);
  gateway = await enrolAndConnect(hub.port, siteA);
  await until(() => database().gateway.findFirst({ where: { siteId: siteA, hubId: { not: null } } }));
});
afterEach(() => {
  endConnections();
  vi.restoreAllMocks();
});
afterAll(async () => {
  await hub?.close();
  await stopDatabase?.();
});

/** What the agent would export of a negotiation that went wrong. */
async function recorded(): Promise<TraceFile> {
  const { pair, configs } = await failureScenarios[0]!.provoke();
  const log = new TraceLog();
  for (const record of pair.a.trace) log.add(sourceOf(record));
  return buildTraceFile({ gateway: "amsterdam", agentVersion: "0.1.0", exportedAt: Date.now(), config: configs.a, entries: log.forFile(configs.a.id, 1_000) });
}

describe("a trace asked for from the console", () => {
  it("is what the gateway exports: replay comes to the same verdict; it is named, recorded, and kept nowhere", async () => {
    const traceFile = await recorded();
    gateway.onCommand((id) => gateway.send({ type: "result", id, ok: true, message: "The latest steps.", traceFile }));
    const { file, fileName } = await exportTrace(owner, linkId, siteA);
    expect(file).toEqual(traceFile);
    expect(fileName).toMatch(/^culvert-trace-amsterdam-berlin-amsterdam-\d{4}-\d\d-\d\dT\d{4}\.json$/);

    const directory = mkdtempSync(join(tmpdir(), "cvs-trace-"));
    const path = join(directory, fileName);
    writeFileSync(path, JSON.stringify(file));
    vi.spyOn(process.stdout, "write").mockReturnValue(true);
    expect(runReplay({ file: path, other: null, json: false })).toBe(0);
    rmSync(directory, { recursive: true });

    const command = await database().gatewayCommand.findFirstOrThrow({ where: { linkId } });
    expect([command.state, command.traceFile]).toEqual(["done", null]);
    expect((await database().event.findFirstOrThrow({ where: { resourceId: linkId, verb: "exported" } })).summary).toContain("at Amsterdam was downloaded");
  });

  it("says which gateway is not connected and what to do there, at once", async () => {
    const error = await exportTrace(owner, linkId, siteB).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(Conflict);
    expect(String(error)).toContain("The gateway of Berlin is not connected to the console");
    expect(String(error)).toContain(`culvert-agent trace ${linkId} --json`);
    expect(await database().gatewayCommand.count({ where: { linkId } })).toBe(0);
    const ended = once(gateway.socket, "close");
    gateway.socket.terminate();
    await ended;
    await until(async () => (await database().gateway.findFirst({ where: { siteId: siteA, hubId: { not: null } } })) === null);
    await expect(exportTrace(owner, linkId, siteA)).rejects.toThrow("Amsterdam is not connected");
  });

  it("passes the gateway's own reason on", async () => {
    gateway.onCommand((id) => gateway.send({ type: "result", id, ok: false, message: "The link is not running: it has no trace to export." }));
    await expect(exportTrace(owner, linkId, siteA)).rejects.toThrow("Amsterdam: The link is not running");
  });

  it("is refused for a site that is not an end of the link", async () => {
    const other = await createSite(owner, { name: "Cologne", networks: ["10.3.0.0/24"], address: "" });
    await expect(exportTrace(owner, linkId, other.id)).rejects.toBeInstanceOf(NotFound);
  });

  it("whose reader died is not kept for longer than ten minutes", async () => {
    const { id: gatewayId } = await database().gateway.findUniqueOrThrow({ where: { siteId: siteA } });
    const left = (minutes: number) =>
      database().gatewayCommand.create({
        data: { gatewayId, command: {}, requestedBy: "test", state: "done", traceFile: { some: "octets" }, createdAt: new Date(Date.now() - minutes * 60_000) },
      });
    const [old, young] = [await left(11), await left(9)];
    await removeOldRows();
    const rows = await database().gatewayCommand.findMany({ where: { id: { in: [old.id, young.id] } }, orderBy: { createdAt: "asc" } });
    expect(rows.map((row) => row.traceFile)).toEqual([null, { some: "octets" }]);
  });
});
