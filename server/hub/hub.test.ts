import "reflect-metadata";
import { randomBytes } from "node:crypto";
import { request } from "node:https";
import { Pkcs10CertificateRequestGenerator } from "@peculiar/x509";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { WebSocket } from "ws";
import type { DesiredState } from "../../contract/desired-state.ts";
import type { EnrolResponse } from "../../contract/enrolment.ts";
import { type FromGateway, type FromHub, fromHub, hubPath } from "../../contract/hub-protocol.ts";
import type { ObservedLink } from "../../contract/observed-state.ts";
import { performGatewayCommand } from "../commands/gateway-command.ts";
import { database } from "../db/client.ts";
import { newKeyPair } from "../keys/authority.ts";
import { createLink, setLinkEnabled } from "../links/save-link.ts";
import { createEnrolmentToken, revokeGateway } from "../sites/enrolment.ts";
import { createSite } from "../sites/save-site.ts";
import { owner, startTestDatabase } from "../testing/database.ts";
import { type RunningHub, startHub } from "./start-hub.ts";

let stopDatabase: () => Promise<void>;
let hub: RunningHub;
let siteA: string;
let siteB: string;
const open: WebSocket[] = [];

beforeAll(async () => {
  ({ stop: stopDatabase } = await startTestDatabase());
  hub = await startHub({ port: 0, bind: "127.0.0.1", unixPath: null, log: () => {} });
  siteA = (await createSite(owner, { name: "Amsterdam", networks: ["10.1.0.0/24"], address: "192.0.2.1" })).id;
  siteB = (await createSite(owner, { name: "Berlin", networks: ["10.2.0.0/24"], address: "198.51.100.1" })).id;
});

afterEach(() => {
  for (const socket of open.splice(0)) socket.terminate();
});

afterAll(async () => {
  await hub?.close();
  await stopDatabase?.();
});

describe("enrolment", () => {
  it("gives a machine with a token a certificate, once", async () => {
    const { token } = await createEnrolmentToken(owner, siteA);
    const first = await enrol(token);
    expect(first.status).toBe(200);
    expect(first.body.siteName).toBe("Amsterdam");
    const second = await enrol(token);
    expect(second.status).toBe(403);
    expect(second.body).toEqual({ error: expect.stringContaining("used already") });
  });

  it("refuses a token that is over, one that was never made, and a request that is none", async () => {
    const { token } = await createEnrolmentToken(owner, siteA);
    await database().enrolmentToken.updateMany({ where: { usedAt: null }, data: { expiresAt: new Date(Date.now() - 1_000) } });
    expect((await enrol(token)).body).toEqual({ error: expect.stringContaining("expired") });
    const never = `culvert1.${randomBytes(32).toString("base64url")}.${token.split(".")[2]}`;
    expect((await enrol(never)).body).toEqual({ error: expect.stringContaining("not known") });
    expect((await post({ token: "x" })).status).toBe(403);
    expect((await post("x".repeat(20_000))).status).toBe(403);
  });
});

describe("a gateway's connection", () => {
  it("is refused without a certificate of ours", async () => {
    await expect(connectRaw({})).rejects.toThrow(/401/);
    const foreign = await newKeyPair();
    await expect(connectRaw({ key: foreign.privateKeyPem })).rejects.toThrow();
  });

  it("gets the desired state, its answer and report are written, and a save is pushed within a second", async () => {
    const gateway = await enrolAndConnect(siteA);
    await enrolAndConnect(siteB);
    const linkId = await makeLink();
    const desired = await gateway.desiredWith(linkId);
    expect(desired.links[0]).toMatchObject({ initiate: "start", remote: { address: "198.51.100.1" }, children: [{ localNetworks: ["10.1.0.0/24"] }] });
    gateway.send({ type: "applied", revision: desired.revision, links: [{ linkId, outcome: "applied", reason: null }] });
    gateway.send(report(desired.revision, linkId, "up", 0));
    gateway.send(report(desired.revision, linkId, "up", 5_000));
    await until(async () => (await database().linkState.findFirst({ where: { linkId, state: "up" } }))?.verdict === "applied");
    const sample = await until(async () => database().counterSample.findFirst({ where: { linkId, resolutionSeconds: 1, bytesIn: 5_000 } }));
    expect(sample.packetsIn).toBe(50n);
    const savedAt = Date.now();
    await setLinkEnabled(owner, linkId, false);
    await gateway.until((state) => state.links.some((link) => link.id === linkId && !link.enabled));
    expect(Date.now() - savedAt).toBeLessThan(1_000);
  });

  it("carries a command there and its answer back", async () => {
    const gateway = await enrolAndConnect(siteA);
    const { id: gatewayId } = await database().gateway.findFirstOrThrow({ where: { siteId: siteA } });
    gateway.onCommand((id) => gateway.send({ type: "result", id, ok: true, message: "rekeyed" }));
    const outcome = await performGatewayCommand({
      gatewayId,
      linkId: null,
      command: { name: "rekey", linkId: "x", what: "all" },
      requestedBy: owner.name,
      timeoutMilliseconds: 5_000,
    });
    expect(outcome).toEqual({ ok: true, message: "rekeyed", probe: null });
  });

  it("ends within 5 s of its revocation, and the certificate opens nothing any more", async () => {
    const gateway = await enrolAndConnect(siteA);
    const closed = new Promise<void>((resolve) => gateway.socket.once("close", () => resolve()));
    const revokedAt = Date.now();
    await revokeGateway(owner, siteA);
    await closed;
    expect(Date.now() - revokedAt).toBeLessThan(5_000);
    await expect(connectRaw(gateway.identity)).rejects.toThrow(/401/);
  });

  it("ends when it sends what is not of the contract", async () => {
    const gateway = await enrolAndConnect(siteA);
    const closed = new Promise<void>((resolve) => gateway.socket.once("close", () => resolve()));
    gateway.socket.send('{"type":"report"}');
    await closed;
  });

  it("is marked as gone when it breaks", async () => {
    const gateway = await enrolAndConnect(siteA);
    await until(async () => (await database().gateway.findFirst({ where: { siteId: siteA, hubId: { not: null } } })) !== null);
    gateway.socket.terminate();
    await until(async () => (await database().gateway.findFirst({ where: { siteId: siteA, hubId: null } })) !== null);
  });
});

it("has health to tell and nothing else", async () => {
  expect(await get("/healthz")).toBe(200);
  expect(await get("/")).toBe(404);
});

let linkCount = 0;

async function makeLink(): Promise<string> {
  const { id } = await createLink(owner, {
    name: `Amsterdam–Berlin ${++linkCount}`,
    siteAId: siteA,
    peer: { kind: "site", siteId: siteB },
    networksA: ["10.1.0.0/24"],
    networksB: ["10.2.0.0/24"],
    preset: "recommended",
    method: "psk",
    secret: null,
    ikeProposals: ["aes256gcm16-prfsha384-x25519"],
    espProposals: ["aes256gcm16"],
    ikeRekeySeconds: 14_400,
    espRekeySeconds: 3_600,
    livenessSeconds: 10,
  });
  return id;
}

function report(revision: number, linkId: string, state: ObservedLink["state"], bytes: number): FromGateway {
  const drops = { replay: 0, integrity: 0, noSa: 0, policy: 0, tooBig: 0, lifetime: 0, malformed: 0 };
  const now = Date.now();
  const child = {
    name: "lan",
    state: "established" as const,
    inboundSpi: "0000aaaa",
    outboundSpi: "0000bbbb",
    suite: "aes256gcm16",
    encapsulation: "udp" as const,
    localNetworks: ["10.1.0.0/24"],
    remoteNetworks: ["10.2.0.0/24"],
    installedAt: now,
    rekeyAt: null,
    expiresAt: null,
    bytesIn: bytes,
    bytesOut: bytes,
    packetsIn: bytes / 100,
    packetsOut: bytes / 100,
    drops,
  };
  const ike = {
    state: "established" as const,
    role: "initiator" as const,
    spiI: "00000000000000aa",
    spiR: "00000000000000bb",
    suite: "aes256gcm16-prfsha384-x25519",
    localEndpoint: "192.0.2.1:4500",
    remoteEndpoint: "198.51.100.1:4500",
    remoteIdentity: "berlin",
    credentialId: null,
    nat: "none" as const,
    establishedAt: now,
    rekeyAt: null,
    childSas: [child],
  };
  const link = { id: linkId, state, since: now, ikeSas: [ike], lastFailure: null, roundTripMs: 1.5, probesSent: 1, probesAnswered: 1 };
  return {
    type: "report",
    state: { at: now, revision, agentVersion: "test", startedAt: now, plane: "tun", planeReason: "test", links: [link], drops, memoryBytes: 1 },
  };
}

interface Identity {
  readonly key?: string;
  readonly cert?: string;
}

async function enrolAndConnect(siteId: string) {
  const { token } = await createEnrolmentToken(owner, siteId);
  const { body, privateKeyPem } = await enrol(token);
  const identity = { key: privateKeyPem, cert: body.certificatePem };
  const states: DesiredState[] = [];
  const waiting: (() => void)[] = [];
  let commandListener: (id: string) => void = () => {};
  const socket = await connectRaw(identity, (message) => {
    if (message.type === "desired") states.push(message.state);
    if (message.type === "command") commandListener(message.id);
    for (const wake of waiting.splice(0)) wake();
  });
  const until = async (accept: (state: DesiredState) => boolean): Promise<DesiredState> => {
    for (;;) {
      const last = states.at(-1);
      if (last !== undefined && accept(last)) return last;
      await new Promise<void>((resolve) => waiting.push(resolve));
    }
  };
  return {
    socket,
    identity,
    until,
    desiredWith: (linkId: string) => until((state) => state.links.some((link) => link.id === linkId)),
    onCommand(listener: (id: string) => void) {
      commandListener = listener;
    },
    send: (message: FromGateway) => socket.send(JSON.stringify(message)),
  };
}

function connectRaw(identity: Identity, onMessage: (message: FromHub) => void = () => {}): Promise<WebSocket> {
  return new Promise((resolve, reject) => {
    // What TLS trusts is the gateway's side, tested with it; here the hub's own checks are looked at.
    const socket = new WebSocket(`wss://127.0.0.1:${hub.port}${hubPath}`, { ...identity, rejectUnauthorized: false });
    open.push(socket);
    socket.on("message", (data: Buffer) => onMessage(fromHub.parse(JSON.parse(data.toString()))));
    socket.once("open", () => resolve(socket));
    socket.on("error", reject);
  });
}

async function enrol(token: string): Promise<{ status: number; body: EnrolResponse; privateKeyPem: string }> {
  const keys = await crypto.subtle.generateKey({ name: "ECDSA", namedCurve: "P-256" }, true, ["sign", "verify"]);
  const csr = await Pkcs10CertificateRequestGenerator.create({ name: "CN=test", keys, signingAlgorithm: { name: "ECDSA", hash: "SHA-256" } });
  const pkcs8 = Buffer.from(await crypto.subtle.exportKey("pkcs8", keys.privateKey)).toString("base64");
  const { status, body } = await post({ token, csrPem: csr.toString("pem"), hostname: "gw.example.test", agentVersion: "test" });
  return { status, body: body as EnrolResponse, privateKeyPem: `-----BEGIN PRIVATE KEY-----\n${pkcs8}\n-----END PRIVATE KEY-----\n` };
}

function post(body: unknown): Promise<{ status: number; body: unknown }> {
  return new Promise((resolve, reject) => {
    const message = request({ host: "127.0.0.1", port: hub.port, path: "/enrol", method: "POST", rejectUnauthorized: false }, (response) => {
      let text = "";
      response.on("data", (chunk: Buffer) => {
        text += chunk.toString();
      });
      response.on("end", () => resolve({ status: response.statusCode ?? 0, body: JSON.parse(text) }));
    });
    message.on("error", reject);
    message.end(JSON.stringify(body));
  });
}

function get(path: string): Promise<number> {
  return new Promise((resolve, reject) => {
    request({ host: "127.0.0.1", port: hub.port, path, rejectUnauthorized: false }, (response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    })
      .on("error", reject)
      .end();
  });
}

async function until<T>(look: () => Promise<T>): Promise<NonNullable<T>> {
  for (const deadline = Date.now() + 10_000; ; ) {
    const found = await look();
    if (found !== null && found !== undefined && found !== false) return found as NonNullable<T>;
    if (Date.now() > deadline) throw new Error("it did not happen within 10 s");
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
