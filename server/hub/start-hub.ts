import { randomUUID } from "node:crypto";
import { rmSync } from "node:fs";
import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer, type Server } from "node:https";
import type { Duplex } from "node:stream";
import { WebSocketServer } from "ws";
import { enrolPath } from "../../contract/enrolment.ts";
import { hubPath } from "../../contract/hub-protocol.ts";
import { subscribe } from "../db/changes.ts";
import { database } from "../db/client.ts";
import { renewLists } from "../keys/revocation-list.ts";
import { removeOldRows } from "../reports/retention.ts";
import { startRotationWorker } from "../rotation/worker.ts";
import { admitGateway, knocker } from "./admission.ts";
import { type HubTls, issueHubCertificate } from "./certificate.ts";
import { EnrolmentRefused, enrolGateway } from "./enrol.ts";
import { errand, type Errand } from "./errand.ts";
import { GatewayConnection } from "./gateway-connection.ts";
import { endUnanswered, relayCommands } from "./relay-commands.ts";

export interface HubOptions {
  /** 0: any free one. */
  readonly port: number;
  readonly bind: string;
  /** Listen there as well, for gateways that reach it through a socket file. */
  readonly unixPath: string | null;
  readonly log: (line: string) => void;
  /** How often the hub makes itself a new certificate; a day when absent. */
  readonly renewMilliseconds?: number;
  /** How often it looks for what no NOTIFY told it of; 2 s when absent. */
  readonly pollMilliseconds?: number;
}

export interface RunningHub {
  readonly port: number;
  close(): Promise<void>;
}

/** How soon a hub notices a revocation or a save whose NOTIFY it missed: twice within the 5 s that are promised. */
const pollMilliseconds = 2_000;
const retentionMilliseconds = 600_000;
const dayMilliseconds = 86_400_000;
const maxMessageOctets = 16 << 20;
const maxEnrolmentOctets = 16_384;

/**
 * The endpoint that gateways connect to, and the worker that rotates keys. Several may run on one database. Closing it only closes
 * connections: gateways keep their tunnels and come back.
 */
export async function startHub(options: HubOptions): Promise<RunningHub> {
  const connections = new Map<string, GatewayConnection>();
  const tls = secureContextOf(await issueHubCertificate());
  const sockets = new WebSocketServer({ noServer: true, maxPayload: maxMessageOctets });
  const makeServer = () => {
    const server = createServer(
      // Enrolment comes without a certificate, so TLS asks for one and `admitGateway` insists.
      { ...tls, requestCert: true, rejectUnauthorized: false },
      (request, response) => void answer(request, response, options.log),
    );
    server.on("upgrade", (request, socket, head) => void accept(request, socket, head));
    return server;
  };

  async function accept(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    socket.on("error", (error) => options.log(`a connection failed: ${error.message}`));
    try {
      const admitted = request.url === hubPath ? await admitGateway(request) : null;
      if (admitted === null) {
        options.log(`refused ${knocker(request)}`);
        socket.end("HTTP/1.1 401 Unauthorized\r\nConnection: close\r\n\r\n");
        return;
      }
      sockets.handleUpgrade(request, socket, head, (webSocket) => {
        connections.get(admitted.gatewayId)?.drop("it connected anew");
        const remoteAddress = request.socket.remoteAddress ?? null;
        const connection = new GatewayConnection(webSocket, { ...admitted, holder: randomUUID(), remoteAddress, log: options.log });
        connections.set(admitted.gatewayId, connection);
        webSocket.once("close", () => {
          if (connections.get(admitted.gatewayId) === connection) connections.delete(admitted.gatewayId);
        });
        connection.begin();
      });
    } catch (error) {
      options.log(`a gateway could not be admitted: ${error instanceof Error ? error.message : String(error)}`);
      socket.destroy();
    }
  }

  const servers: Server[] = [await listen(makeServer(), { port: options.port, host: options.bind })];
  if (options.unixPath !== null) {
    // A socket file that a killed hub left behind would refuse the name.
    rmSync(options.unixPath, { force: true });
    servers.push(await listen(makeServer(), { path: options.unixPath }));
  }
  const care = new Caretaker(connections, options.log);
  const unsubscribe = await subscribe((change) => {
    if (change.resource === "gateway") care.lookAt(change.id);
    else if (change.resource === "command") care.relay();
  });
  const poll = setInterval(() => care.lookAtAll(), options.pollMilliseconds ?? pollMilliseconds);
  const retention = errand("retention", options.log, async () => {
    await endUnanswered();
    await removeOldRows();
    await renewLists(new Date());
  });
  const retain = setInterval(() => retention.ask(), retentionMilliseconds);
  // A hub may run for longer than its certificate is valid.
  const renewal = errand("the hub's new certificate", options.log, async () => {
    const fresh = secureContextOf(await issueHubCertificate());
    for (const server of servers) server.setSecureContext(fresh);
  });
  const renew = setInterval(() => renewal.ask(), options.renewMilliseconds ?? dayMilliseconds);
  const rotation = await startRotationWorker({ log: options.log });
  const address = servers[0]?.address();
  return {
    port: typeof address === "object" && address !== null ? address.port : options.port,
    async close() {
      unsubscribe();
      for (const timer of [poll, retain, renew]) clearInterval(timer);
      await rotation.close();
      const open = [...connections.values()];
      for (const connection of open) connection.drop("the hub is stopping");
      await Promise.all(servers.map(closeServer));
      await Promise.all(open.map((connection) => connection.finished()));
      await Promise.all([care.idle(), retention.idle(), renewal.idle()]);
    },
  };
}

function secureContextOf({ chain, privateKey, authority }: HubTls) {
  return { cert: chain, key: privateKey, ca: authority, minVersion: "TLSv1.3" } as const;
}

/** Keeps the connections in step with the database: drops the revoked, pushes what changed, relays commands. */
class Caretaker {
  readonly #connections: Map<string, GatewayConnection>;
  readonly #toLookAt = new Set<string>();
  readonly #looking: Errand;
  readonly #relaying: Errand;

  constructor(connections: Map<string, GatewayConnection>, log: (line: string) => void) {
    this.#connections = connections;
    this.#looking = errand("the look at gateways", log, () => this.#look());
    this.#relaying = errand("commands", log, () => relayCommands(connections));
  }

  lookAt(gatewayId: string): void {
    if (!this.#connections.has(gatewayId)) return;
    this.#toLookAt.add(gatewayId);
    this.#looking.ask();
  }

  lookAtAll(): void {
    for (const gatewayId of this.#connections.keys()) this.lookAt(gatewayId);
    this.relay();
  }

  relay(): void {
    this.#relaying.ask();
  }

  async idle(): Promise<void> {
    await Promise.all([this.#looking.idle(), this.#relaying.idle()]);
  }

  async #look(): Promise<void> {
    const gatewayIds = [...this.#toLookAt];
    this.#toLookAt.clear();
    const rows = await database().gateway.findMany({
      where: { id: { in: gatewayIds } },
      select: { id: true, revokedAt: true, desiredRevision: true, certificates: { where: { revokedAt: { not: null } }, select: { id: true } } },
    });
    const known = new Map(rows.map((row) => [row.id, row]));
    for (const id of gatewayIds) {
      const row = known.get(id);
      const connection = this.#connections.get(id);
      if (row === undefined) connection?.drop("its site was deleted");
      else if (row.revokedAt !== null) connection?.drop("it is revoked");
      else if (row.certificates.some((revoked) => revoked.id === connection?.certificateId)) connection?.drop("its certificate is revoked");
      else connection?.pushIfStale(row.desiredRevision);
    }
  }
}

/** Plain requests: enrolment, and the health check. */
async function answer(request: IncomingMessage, response: ServerResponse, log: (line: string) => void): Promise<void> {
  try {
    if (request.method === "GET" && request.url === "/healthz") {
      await database().$queryRaw`SELECT 1`;
      return reply(response, 200, { ok: true });
    }
    if (request.method !== "POST" || request.url !== enrolPath) return reply(response, 404, { error: "There is nothing here: gateways enrol at /enrol." });
    return reply(response, 200, await enrolGateway(await readJson(request)));
  } catch (error) {
    if (error instanceof EnrolmentRefused) return reply(response, 403, { error: error.message });
    log(`${request.method} ${request.url}: ${error instanceof Error ? error.message : String(error)}`);
    return reply(response, 503, { error: "The console could not do this just now: its log says why." });
  }
}

function reply(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { "content-type": "application/json", "cache-control": "no-store" });
  response.end(JSON.stringify(body));
}

async function readJson(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  let octets = 0;
  for await (const chunk of request) {
    octets += chunk.length;
    if (octets > maxEnrolmentOctets) throw new EnrolmentRefused("The enrolment request is too long.");
    chunks.push(chunk);
  }
  try {
    return JSON.parse(Buffer.concat(chunks).toString("utf8"));
  } catch (error) {
    throw new EnrolmentRefused("The enrolment request is not JSON.", { cause: error });
  }
}

function listen(server: Server, where: { port: number; host: string } | { path: string }): Promise<Server> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(where, () => {
      server.off("error", reject);
      resolve(server);
    });
  });
}

function closeServer(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}
