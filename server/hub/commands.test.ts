import { once } from "node:events";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { performGatewayCommand } from "../commands/gateway-command.ts";
import { database } from "../db/client.ts";
import { createSite } from "../sites/save-site.ts";
import { owner, startTestDatabase } from "../testing/database.ts";
import { connectGateway, endConnections, enrolAndConnect, type FakeGateway } from "../testing/fake-gateway.ts";
import { until } from "../testing/until.ts";
import { endUnanswered } from "./relay-commands.ts";
import { type RunningHub, startHub } from "./start-hub.ts";

let stopDatabase: () => Promise<void>;
let hub: RunningHub;
let gateway: FakeGateway;
let gatewayId: string;

beforeAll(async () => {
  ({ stop: stopDatabase } = await startTestDatabase());
  hub = await startHub({ port: 0, bind: "127.0.0.1", unixPath: null, log: () => {} });
});
beforeEach(async () => {
  await database().site.deleteMany();
  const site = await createSite(owner, { name: "Amsterdam", networks: ["10.1.0.0/24"], address: "192.0.2.1" });
  gatewayId = (await database().gateway.findUniqueOrThrow({ where: { siteId: site.id } })).id;
  gateway = await enrolAndConnect(hub.port, site.id);
  await until(isHeld);
});
afterEach(endConnections);
afterAll(async () => {
  await hub?.close();
  await stopDatabase?.();
});

const isHeld = () => database().gateway.findFirst({ where: { id: gatewayId, hubId: { not: null } } });
const command = { name: "reauthenticate", linkId: "x" } as const;
const perform = (timeoutMilliseconds: number) => performGatewayCommand({ gatewayId, linkId: null, command, requestedBy: "test", timeoutMilliseconds });
const onlyCommand = () => database().gatewayCommand.findFirstOrThrow({ where: { gatewayId } });

/** What the gateway is told from now on; a rekey that it answers is the end of what was sent before it. */
async function toldUntilNow(told: string[], answering: FakeGateway): Promise<string[]> {
  const outcome = performGatewayCommand({
    gatewayId,
    linkId: null,
    command: { name: "rekey", linkId: "x", what: "all" },
    requestedBy: "test",
    timeoutMilliseconds: 8_000,
  });
  const { id } = await until(() => database().gatewayCommand.findFirst({ where: { gatewayId, state: "sent", command: { path: ["name"], equals: "rekey" } } }));
  answering.send({ type: "result", id, ok: true, message: "rekeyed" });
  expect((await outcome).ok).toBe(true);
  return told.filter((each) => each !== id);
}

describe("a command", () => {
  it("whose caller gave up is not sent when the gateway comes back", async () => {
    const ended = once(gateway.socket, "close");
    gateway.socket.terminate();
    await ended;
    await until(async () => (await isHeld()) === null);
    expect(await perform(50)).toMatchObject({ ok: false, message: "The gateway did not answer in time." });
    expect((await onlyCommand()).state).toBe("failed");
    const back = await connectGateway(hub.port, gateway.identity);
    const told: string[] = [];
    back.onCommand((id) => told.push(id));
    await until(isHeld);
    expect(await toldUntilNow(told, back)).toEqual([]);
  });

  it("that was left behind by a console that died is not sent late, although the gateway is there", async () => {
    const told: string[] = [];
    gateway.onCommand((id) => told.push(id));
    const { id } = await database().gatewayCommand.create({ data: { gatewayId, command, requestedBy: "test", createdAt: new Date(Date.now() - 11_000) } });
    await until(() => database().gatewayCommand.findFirst({ where: { id, state: "failed", message: { contains: "not sent in time" } } }));
    expect(await toldUntilNow(told, gateway)).toEqual([]);
  });

  it("ends when the connection that it went over is lost, not only when its caller's patience does", async () => {
    gateway.onCommand(() => gateway.socket.terminate());
    const askedAt = Date.now();
    expect(await perform(30_000)).toMatchObject({ ok: false, message: "The connection to the gateway was lost before it answered." });
    expect(Date.now() - askedAt).toBeLessThan(10_000);
  });

  it("that has no answer to come is ended after a while, a younger one is not", async () => {
    const sent = (age: number) =>
      database().gatewayCommand.create({ data: { gatewayId, command, requestedBy: "test", state: "sent", sentAt: new Date(Date.now() - age) } });
    const [old, young] = [await sent(130_000), await sent(100_000)];
    await endUnanswered();
    const states = await database().gatewayCommand.findMany({ where: { id: { in: [old.id, young.id] } }, orderBy: { sentAt: "asc" } });
    expect(states.map((row) => row.state)).toEqual(["failed", "sent"]);
  });
});
