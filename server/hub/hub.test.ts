import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { performGatewayCommand } from "../commands/gateway-command.ts";
import { type Change, subscribe } from "../db/changes.ts";
import { database } from "../db/client.ts";
import { newKeyPair } from "../keys/authority.ts";
import { setLinkEnabled } from "../links/save-link.ts";
import { createEnrolmentToken, revokeGateway } from "../sites/enrolment.ts";
import { createSite } from "../sites/save-site.ts";
import { owner, startTestDatabase } from "../testing/database.ts";
import { connectGateway, connectRaw, endConnections, enrol, enrolAndConnect, get, post, reportOf } from "../testing/fake-gateway.ts";
import { createTestLink } from "../testing/link-forms.ts";
import { until } from "../testing/until.ts";
import { type RunningHub, startHub } from "./start-hub.ts";

let stopDatabase: () => Promise<void>;
let hub: RunningHub;
let siteA: string;
let siteB: string;

beforeAll(async () => {
  ({ stop: stopDatabase } = await startTestDatabase());
  hub = await startHub({ port: 0, bind: "127.0.0.1", unixPath: null, log: () => {}, renewMilliseconds: 1_000 });
  siteA = (await createSite(owner, { name: "Amsterdam", networks: ["10.1.0.0/24"], address: "192.0.2.1" })).id;
  siteB = (await createSite(owner, { name: "Berlin", networks: ["10.2.0.0/24"], address: "198.51.100.1" })).id;
});

afterEach(endConnections);

afterAll(async () => {
  await hub?.close();
  await stopDatabase?.();
});

const gatewayAt = (siteId: string) => database().gateway.findFirstOrThrow({ where: { siteId } });

describe("enrolment", () => {
  it("gives a machine with a token a certificate, once", async () => {
    const { token } = await createEnrolmentToken(owner, siteA);
    const first = await enrol(hub.port, token);
    expect(first.status).toBe(200);
    expect(first.body.siteName).toBe("Amsterdam");
    const second = await enrol(hub.port, token);
    expect(second.status).toBe(403);
    expect(second.body).toEqual({ error: expect.stringContaining("used already") });
  });

  it("takes a token once however many machines try it at once", async () => {
    const { token } = await createEnrolmentToken(owner, siteA);
    const answers = await Promise.all(Array.from({ length: 5 }, () => enrol(hub.port, token)));
    expect(answers.map((answer) => answer.status).toSorted()).toEqual([200, 403, 403, 403, 403]);
    expect(await database().gatewayCertificate.count({ where: { gateway: { siteId: siteA }, revokedAt: null } })).toBe(1);
  });

  it("refuses a token that is over, one that was never made, and a request that is none", async () => {
    const { token } = await createEnrolmentToken(owner, siteA);
    await database().enrolmentToken.updateMany({ where: { usedAt: null }, data: { expiresAt: new Date(Date.now() - 1_000) } });
    expect((await enrol(hub.port, token)).body).toEqual({ error: expect.stringContaining("expired") });
    const never = `culvert1.${randomBytes(32).toString("base64url")}.${token.split(".")[2]}`;
    expect((await enrol(hub.port, never)).body).toEqual({ error: expect.stringContaining("not known") });
    expect((await post(hub.port, { token: "x" })).status).toBe(403);
    expect((await post(hub.port, "x".repeat(20_000))).status).toBe(403);
  });

  it("keeps a token whose certificate request is broken for another try", async () => {
    const { token } = await createEnrolmentToken(owner, siteA);
    expect((await post(hub.port, { token, csrPem: "nonsense", hostname: "gw", agentVersion: "test" })).status).toBe(403);
    expect((await enrol(hub.port, token)).status).toBe(200);
  });
});

describe("a gateway's connection", () => {
  it("is refused without a certificate of ours", async () => {
    await expect(connectRaw(hub.port, {})).rejects.toThrow(/401/);
    const foreign = await newKeyPair();
    await expect(connectRaw(hub.port, { key: foreign.privateKeyPem })).rejects.toThrow();
  });

  it("gets the desired state, and its answer and report are written", async () => {
    const gateway = await enrolAndConnect(hub.port, siteA);
    await enrolAndConnect(hub.port, siteB);
    const linkId = await createTestLink(siteA, siteB);
    const desired = await gateway.desiredWith(linkId);
    expect(desired.links[0]).toMatchObject({ initiate: "start", remote: { address: "198.51.100.1" }, children: [{ localNetworks: ["10.1.0.0/24"] }] });
    gateway.send({ type: "applied", revision: desired.revision, links: [{ linkId, outcome: "applied", reason: null }] });
    gateway.send(reportOf(desired.revision, [{ id: linkId, state: "up", bytes: 0 }]));
    await until(async () => (await database().linkState.findFirst({ where: { linkId, state: "up" } }))?.verdict === "applied");
    gateway.send(reportOf(desired.revision, [{ id: linkId, state: "up", bytes: 5_000 }]));
    const sample = await until(async () => database().counterSample.findFirst({ where: { linkId, resolutionSeconds: 1, bytesIn: 5_000 } }));
    expect(sample.packetsIn).toBe(50n);
  });

  it("is sent a save as Postgres tells of it, by a hub that looks at nothing by itself", async () => {
    const waiting = await startHub({ port: 0, bind: "127.0.0.1", unixPath: null, log: () => {}, pollMilliseconds: 3_600_000 });
    try {
      const gateway = await enrolAndConnect(waiting.port, siteA);
      const { id: linkId } = await database().link.findFirstOrThrow({ where: { siteAId: siteA, enabled: true } });
      await gateway.desiredWith(linkId);
      await setLinkEnabled(owner, linkId, false);
      await gateway.until((state) => state.links.some((link) => link.id === linkId && !link.enabled));
    } finally {
      await waiting.close();
    }
  });

  it("carries a command there and its answer back", async () => {
    const gateway = await enrolAndConnect(hub.port, siteA);
    gateway.onCommand((id) => gateway.send({ type: "result", id, ok: true, message: "rekeyed" }));
    const outcome = await performGatewayCommand({
      gatewayId: (await gatewayAt(siteA)).id,
      linkId: null,
      command: { name: "rekey", linkId: "x", what: "all" },
      requestedBy: owner.name,
      timeoutMilliseconds: 5_000,
    });
    expect(outcome).toEqual({ ok: true, message: "rekeyed", probe: null, traceFile: null });
  });

  it("ends within 5 s of its revocation, and the certificate opens nothing any more", async () => {
    const gateway = await enrolAndConnect(hub.port, siteA);
    const closed = once(gateway.socket, "close");
    const revokedAt = Date.now();
    await revokeGateway(owner, siteA);
    await closed;
    expect(Date.now() - revokedAt).toBeLessThan(5_000);
    await expect(connectRaw(hub.port, gateway.identity)).rejects.toThrow(/401/);
  });

  it("ends within 5 s of a revocation that no NOTIFY told of", async () => {
    const gateway = await enrolAndConnect(hub.port, siteA);
    await until(async () => (await gatewayAt(siteA)).hubId);
    const closed = once(gateway.socket, "close");
    const revokedAt = Date.now();
    await database().gateway.updateMany({ where: { siteId: siteA }, data: { revokedAt: new Date() } });
    await closed;
    expect(Date.now() - revokedAt).toBeLessThan(5_000);
  });

  it("ends when the gateway is enrolled on another machine: the old certificate is over", async () => {
    const old = await enrolAndConnect(hub.port, siteA);
    const closed = once(old.socket, "close");
    expect((await enrol(hub.port, (await createEnrolmentToken(owner, siteA)).token)).status).toBe(200);
    await closed;
    await expect(connectRaw(hub.port, old.identity)).rejects.toThrow(/401/);
  });

  it("ends when it sends what is not of the contract", async () => {
    const gateway = await enrolAndConnect(hub.port, siteA);
    const closed = once(gateway.socket, "close");
    gateway.socket.send('{"type":"report"}');
    await closed;
  });

  it("goes on when a gateway of a newer version says more than this console knows: that is left out", async () => {
    const gateway = await enrolAndConnect(hub.port, siteA);
    const { state } = JSON.parse(JSON.stringify(reportOf(0, [])));
    const newer = { ...state, plane: "a newer plane", temperature: 41, drops: { ...state.drops, aNewCause: 7 } };
    gateway.socket.send(JSON.stringify({ type: "report", state: newer, urgency: "low" }));
    await until(async () => (await gatewayAt(siteA)).plane === "a newer plane");
    expect(gateway.socket.readyState).toBe(gateway.socket.OPEN);
  });

  it("is marked as gone when it breaks, and its links and site are told of", async () => {
    const gateway = await enrolAndConnect(hub.port, siteA);
    const linkId = (await database().link.findFirstOrThrow()).id;
    await until(async () => (await gatewayAt(siteA)).hubId);
    const changes: Change[] = [];
    const unsubscribe = await subscribe((change) => changes.push(change));
    gateway.socket.terminate();
    await until(async () => (await gatewayAt(siteA)).hubId === null);
    await until(async () => changes.some((change) => change.resource === "link" && change.id === linkId));
    expect(changes).toContainEqual({ resource: "site", id: siteA });
    unsubscribe();
  });

  it("stays registered when the gateway connects anew before its old connection has ended", async () => {
    const first = await enrolAndConnect(hub.port, siteA);
    await until(async () => (await gatewayAt(siteA)).hubId);
    const firstEnded = once(first.socket, "close");
    const second = await connectGateway(hub.port, first.identity);
    await firstEnded;
    const { desiredRevision, lastHeardAt } = await gatewayAt(siteA);
    second.send(reportOf(desiredRevision, []));
    await until(async () => Number((await gatewayAt(siteA)).lastHeardAt) > Number(lastHeardAt));
    expect((await gatewayAt(siteA)).hubId).not.toBeNull();
  });

  it("registers late when the database was away as it began", async () => {
    await database().$executeRaw`CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'away'; END $$`;
    await database().$executeRaw`CREATE TRIGGER away BEFORE UPDATE OF "connectedAt" ON "Gateway" FOR EACH ROW EXECUTE FUNCTION refuse()`;
    const gateway = await enrolAndConnect(hub.port, siteA);
    await gateway.until(() => true);
    expect((await gatewayAt(siteA)).hubId).toBeNull();
    await database().$executeRaw`DROP TRIGGER away ON "Gateway"`;
    gateway.send(reportOf(1, []));
    await until(async () => (await gatewayAt(siteA)).hubId);
  });
});

describe("the hub itself", () => {
  it("has health to tell and nothing else", async () => {
    expect((await get(hub.port, "/healthz")).status).toBe(200);
    expect((await get(hub.port, "/")).status).toBe(404);
  });

  it("shows a new certificate in time, without a restart", async () => {
    const { certificate } = await get(hub.port, "/healthz");
    await until(async () => (await get(hub.port, "/healthz")).certificate !== certificate);
    await enrolAndConnect(hub.port, siteB);
  });
});
