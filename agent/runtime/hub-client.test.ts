import { createHash } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type Server } from "node:https";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TLSSocket } from "node:tls";
import { afterEach, beforeAll, expect, test } from "vitest";
import { type WebSocket, WebSocketServer } from "ws";
import { type DesiredState, link as desiredLink } from "../../contract/desired-state.ts";
import { enrolRequest } from "../../contract/enrolment.ts";
import { fromGateway, type FromGateway, type FromHub } from "../../contract/hub-protocol.ts";
import type { ObservedState } from "../../contract/observed-state.ts";
import { enrol } from "./enrol.ts";
import { HubClient, type HubClientOptions, reportDelay } from "./hub-client.ts";
import type { MachineIdentity } from "./state-store.ts";
import { createAuthority, issue, issueForRequest, type IssueOptions, type TestCertificate } from "./test-certificates.ts";
import { exampleState } from "./test-doubles.ts";
import { sourceOf } from "../testing/traced.ts";
import { parseWhole } from "../../contract/parse-whole.ts";

let authority: TestCertificate;
beforeAll(async () => {
  authority = await createAuthority();
});

const cleanups: (() => void | Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

const secret = "s".repeat(43);
const tokenFor = (ca: TestCertificate) => `culvert1.${secret}.${createHash("sha256").update(Buffer.from(ca.certificate.rawData)).digest("base64url")}`;

interface TestHub {
  readonly server: Server;
  readonly port: number;
  readonly messages: FromGateway[];
  readonly connections: { readonly socket: WebSocket; readonly protocol: string | null; readonly subject: string }[];
  send(message: FromHub): void;
  close(): Promise<void>;
}

/** A hub as far as a gateway can see it: real TLS, real WebSocket. */
async function openHub(options: { readonly listen?: string | number; readonly leaf?: IssueOptions; readonly ca?: TestCertificate } = {}): Promise<TestHub> {
  const ca = options.ca ?? authority;
  const leaf = await issue(ca, options.leaf ?? { name: "hub", dnsNames: ["culvert-hub"], usage: "server" });
  const server = createServer(
    { cert: leaf.pem + ca.pem, key: leaf.keyPem, ca: ca.pem, requestCert: true, rejectUnauthorized: false, minVersion: "TLSv1.3" },
    (request, response) => {
      let body = "";
      request.on("data", (chunk: Buffer) => {
        body += chunk.toString();
      });
      request.on("end", () => {
        void (async () => {
          const asked = enrolRequest.parse(JSON.parse(body));
          if (!asked.token.includes(secret)) {
            response.writeHead(403).end(JSON.stringify({ error: "the token was used already" }));
            return;
          }
          const certificatePem = await issueForRequest(ca, asked.csrPem, { name: "gw-1", usage: "client" });
          response.writeHead(200).end(JSON.stringify({ gatewayId: "gw-1", siteName: "Amsterdam", certificatePem, caPem: ca.pem }));
        })();
      });
    },
  );
  const sockets = new WebSocketServer({ server });
  const hub: TestHub = {
    server,
    messages: [],
    connections: [],
    port: 0,
    send: (message) => hub.connections.at(-1)!.socket.send(JSON.stringify(message)),
    close: () => {
      for (const client of sockets.clients) client.terminate();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
  sockets.on("connection", (socket, request) => {
    const tls = request.socket as TLSSocket;
    if (!tls.authorized) {
      socket.close(4001);
      return;
    }
    hub.connections.push({ socket, protocol: tls.getProtocol(), subject: String(tls.getPeerCertificate().subject.CN) });
    socket.on("message", (data) => hub.messages.push(parseWhole(fromGateway, JSON.parse(String(data)))));
  });
  await new Promise<void>((resolve, reject) => server.once("error", reject).listen(options.listen ?? 0, () => resolve()));
  cleanups.push(() => hub.close());
  const address = server.address();
  return Object.assign(hub, { port: typeof address === "object" ? ((address as AddressInfo | null)?.port ?? 0) : 0 });
}

async function identityFor(hub: TestHub, changes: Partial<MachineIdentity> = {}, issueOptions: Partial<IssueOptions> = {}): Promise<MachineIdentity> {
  const client = await issue(authority, { name: "gw-1", usage: "client", ...issueOptions });
  return {
    gatewayId: "gw-1",
    siteName: "Amsterdam",
    hub: `https://127.0.0.1:${hub.port}`,
    via: null,
    caPem: authority.pem,
    certificatePem: client.pem,
    privateKeyPem: client.keyPem,
    ...changes,
  };
}

const report: ObservedState = {
  at: 1,
  revision: 7,
  agentVersion: "0",
  startedAt: 1,
  plane: "p",
  planeReason: "r",
  links: [],
  memoryBytes: 1,
  drops: { replay: 0, integrity: 0, noSa: 0, policy: 0, tooBig: 0, lifetime: 0, malformed: 0, congestion: 0, unsent: 0 },
};

function startClient(identity: MachineIdentity, subject: Partial<HubClientOptions["subject"]> = {}, options: Partial<HubClientOptions> = {}) {
  const logs: string[] = [];
  const saved: MachineIdentity[] = [];
  const client = new HubClient({
    identity,
    saveIdentity: (renewed) => saved.push(renewed),
    subject: {
      revision: () => 7,
      apply: async (state) => state.links.map((link) => ({ linkId: link.id, outcome: "applied", reason: null })),
      running: () => null,
      perform: async (command) => ({ ok: true, message: command.name }),
      report: () => report,
      ...subject,
    },
    agentVersion: "0.1.0",
    log: (line) => logs.push(line),
    random: () => 0.5,
    ...options,
  });
  cleanups.push(() => client.close());
  return { client, logs, saved };
}

const ofType = <T extends FromGateway["type"]>(hub: TestHub, type: T) =>
  hub.messages.filter((message): message is Extract<FromGateway, { type: T }> => message.type === type);

test("it says hello over mutual TLS 1.3, reports at once and then every second", async () => {
  const hub = await openHub();
  startClient(await identityFor(hub));
  await expect.poll(() => hub.messages.map((message) => message.type).slice(0, 2), { timeout: 3_000 }).toEqual(["hello", "report"]);
  expect(hub.connections[0]).toMatchObject({ protocol: "TLSv1.3", subject: "gw-1" });
  await expect.poll(() => ofType(hub, "report").length, { timeout: 3_000 }).toBeGreaterThanOrEqual(3);
});

test("a desired state is applied and answered link by link; one that cannot be is refused with the reason", async () => {
  const hub = await openHub();
  const { client } = startClient(await identityFor(hub), {
    apply: async (state) => {
      if (state.revision === 9) throw new Error("no TUN device");
      return [{ linkId: "berlin", outcome: "applied", reason: null }];
    },
  });
  await expect.poll(() => hub.connections.length).toBe(1);
  hub.send({ type: "desired", state: { ...exampleState(), revision: 8 } });
  hub.send({ type: "desired", state: { ...exampleState(), revision: 9 } });
  await expect
    .poll(() => ofType(hub, "applied"))
    .toEqual([
      { type: "applied", revision: 8, links: [{ linkId: "berlin", outcome: "applied", reason: null }] },
      { type: "applied", revision: 9, links: [{ linkId: "berlin", outcome: "refused", reason: "no TUN device" }] },
    ]);
  client.close();
});

test("a link with an option of a newer console is refused by the option's name and runs on as it is; the others are taken", async () => {
  const hub = await openHub();
  const [berlin] = exampleState().links;
  const running = desiredLink.parse({ ...berlin, id: "berlin", name: "As it runs" });
  const states: DesiredState[] = [];
  const { logs } = startClient(await identityFor(hub), {
    running: (linkId) => (linkId === "berlin" ? running : null),
    apply: async (state) => {
      states.push(state);
      return state.links.map((link) => ({ linkId: link.id, outcome: "applied", reason: null }));
    },
  });
  await expect.poll(() => hub.connections.length).toBe(1);
  const newer = { ...berlin, name: "As it should be", ike: { ...berlin?.ike, quantumLeap: "secret-looking" } };
  const links = [newer, { ...newer, id: "fresh" }, { ...berlin, id: "plain" }];
  hub.connections[0]?.socket.send(JSON.stringify({ type: "desired", state: { ...exampleState(), revision: 8, links } }));
  const reason = expect.stringContaining('does not understand "ike.quantumLeap"');
  await expect
    .poll(() => ofType(hub, "applied"))
    .toEqual([
      {
        type: "applied",
        revision: 8,
        links: [
          { linkId: "plain", outcome: "applied", reason: null },
          { linkId: "berlin", outcome: "refused", reason },
          { linkId: "fresh", outcome: "refused", reason },
        ],
      },
    ]);
  expect(states.map((state) => state.links.map((link) => [link.id, link.name]))).toEqual([
    [
      ["berlin", "As it runs"],
      ["plain", berlin?.name],
    ],
  ]);
  expect(logs.join()).not.toContain("secret-looking");
});

test("a state whose gateway has an option of a newer console is refused whole, link by link, and nothing is applied", async () => {
  const hub = await openHub();
  const { client } = startClient(await identityFor(hub), { apply: () => Promise.reject(new Error("must not be called")) });
  await expect.poll(() => hub.connections.length).toBe(1);
  const state = exampleState();
  hub.connections[0]?.socket.send(JSON.stringify({ type: "desired", state: { ...state, revision: 8, gateway: { ...state.gateway, antenna: 1 } } }));
  await expect
    .poll(() => ofType(hub, "applied"))
    .toEqual([{ type: "applied", revision: 8, links: [{ linkId: "berlin", outcome: "refused", reason: expect.stringContaining('"gateway.antenna"') }] }]);
  client.close();
});

test("commands are answered by id, and a long one does not hold up the next", async () => {
  const hub = await openHub();
  startClient(await identityFor(hub), {
    perform: (command) => (command.name === "probe" ? new Promise(() => undefined) : Promise.resolve({ ok: true, message: "done" })),
  });
  await expect.poll(() => hub.connections.length).toBe(1);
  hub.send({ type: "command", id: "1", command: { name: "probe", linkId: "l", count: 9, intervalMilliseconds: 1, payloadBytes: 0 } });
  hub.send({ type: "command", id: "2", command: { name: "rekey", linkId: "l", what: "all" } });
  await expect.poll(() => ofType(hub, "result")).toEqual([{ type: "result", id: "2", ok: true, message: "done" }]);
});

test("ten changes make one report, though none is due, and traces follow", async () => {
  const hub = await openHub();
  const { client } = startClient(await identityFor(hub), {}, { reportEveryMs: 3_600_000 });
  await expect.poll(() => ofType(hub, "report").length).toBe(1);
  for (let index = 0; index < 10; index++) client.noteChange();
  await expect.poll(() => ofType(hub, "report").length).toBe(2);
  client.noteTrace({
    sequence: 0,
    source: sourceOf({ at: 1, linkId: "l", direction: "sent", exchange: "IKE_SA_INIT", messageId: 0, summary: "s", detail: {} }),
  });
  await expect.poll(() => ofType(hub, "trace").flatMap((message) => message.entries).length).toBe(1);
  expect(ofType(hub, "report").length).toBe(2);
});

test("a change is reported within 50 ms, or twenty times as late as a report takes to make", () => {
  expect([0, 1, 2.5, 30].map(reportDelay)).toEqual([50, 50, 50, 600]);
});

test("it comes back within a second after the hub does, and sends the traces of the time between", async () => {
  const hub = await openHub();
  const { client } = startClient(await identityFor(hub));
  await expect.poll(() => hub.connections.length).toBe(1);
  await hub.close();
  client.noteTrace({
    sequence: 5,
    source: sourceOf({ at: 1, linkId: "l", direction: "local", exchange: "x", messageId: null, summary: "while away", detail: {} }),
  });
  const again = await openHub({ listen: hub.port });
  await expect.poll(() => again.connections.length, { timeout: 2_500 }).toBe(1);
  await expect.poll(() => ofType(again, "trace").flatMap((message) => message.entries.map((entry) => entry.summary))).toEqual(["while away"]);
});

test("the same TLS runs through a Unix socket", async () => {
  const directory = mkdtempSync(join(tmpdir(), "cvrt-hub-"));
  cleanups.push(() => rmSync(directory, { recursive: true }));
  const hub = await openHub({ listen: join(directory, "hub.sock") });
  startClient(await identityFor(hub, { hub: "https://console.example:8444", via: `unix:${join(directory, "hub.sock")}` }));
  await expect.poll(() => hub.connections[0]?.subject).toBe("gw-1");
});

test("a hub of another CA, and a gateway that poses as the hub, get no word", async () => {
  const other = await openHub({ ca: await createAuthority() });
  const imposter = await openHub({ leaf: { name: "gw-2", dnsNames: ["culvert-hub"], usage: "client" } });
  const misnamed = await openHub({ leaf: { name: "web", dnsNames: ["www.example"], usage: "server" } });
  for (const hub of [other, imposter, misnamed]) {
    const { logs } = startClient(await identityFor(hub));
    await expect.poll(() => logs.length).toBeGreaterThan(0);
    expect(logs[0]).toMatch(/^hub: /);
    expect(hub.connections.length).toBe(0);
    expect(hub.messages).toEqual([]);
  }
});

test("after two thirds of its life the certificate is renewed with a new key", async () => {
  const hub = await openHub();
  const identity = await identityFor(hub, {}, { validFromMs: 3_000_000, validForMs: 1_000_000 });
  const { saved } = startClient(identity);
  await expect.poll(() => ofType(hub, "renew").length, { timeout: 3_000 }).toBe(1);
  const certificatePem = await issueForRequest(authority, ofType(hub, "renew")[0]!.csrPem, { name: "gw-1", usage: "client" });
  hub.send({ type: "certificate", certificatePem });
  await expect.poll(() => saved.length).toBe(1);
  expect(saved[0]).toMatchObject({ certificatePem, caPem: authority.pem });
  expect(saved[0]!.privateKeyPem).not.toBe(identity.privateKeyPem);
});

test("enrolment makes a key, gets a certificate for it and keeps what a connection needs", async () => {
  const hub = await openHub();
  const identity = await enrol({ hub: `https://127.0.0.1:${hub.port}`, via: null, token: tokenFor(authority), agentVersion: "0.1.0" });
  expect(identity).toMatchObject({ gatewayId: "gw-1", siteName: "Amsterdam" });
  startClient(identity);
  await expect.poll(() => hub.connections[0]?.subject).toBe("gw-1");
});

test("enrolment sends nothing to a hub whose CA is not the token's, and tells a refusal without the token", async () => {
  const hub = await openHub();
  const options = { hub: `https://127.0.0.1:${hub.port}`, via: null, agentVersion: "0.1.0" };
  await expect(enrol({ ...options, token: tokenFor(await createAuthority()) })).rejects.toThrow(/does not present the CA of this token/);
  const used = tokenFor(authority).replace(secret, "u".repeat(43));
  await expect(enrol({ ...options, token: used })).rejects.toThrow(/^the hub refused \(403\): the token was used already$/);
  await expect(enrol({ ...options, token: "culvert1.x" })).rejects.toThrow(/copy the whole command/);
});
