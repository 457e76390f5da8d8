import type { WebSocket } from "ws";
import { type Command, fromGateway, type FromGateway, type FromHub, heartbeatMilliseconds, silenceMilliseconds } from "../../contract/hub-protocol.ts";
import { announce } from "../db/changes.ts";
import { database } from "../db/client.ts";
import { compileDesiredState } from "../publishing/compile-desired-state.ts";
import { ReportIngest } from "../reports/ingest-report.ts";
import { ingestTrace } from "../reports/ingest-trace.ts";
import { ingestVerdicts } from "../reports/ingest-verdicts.ts";
import { certifyGateway } from "./enrol.ts";
import { finishCommand } from "./relay-commands.ts";

export interface GatewayConnectionOptions {
  readonly gatewayId: string;
  readonly gatewayName: string;
  readonly hubId: string;
  readonly remoteAddress: string | null;
  readonly log: (line: string) => void;
}

/**
 * One gateway's connection to this hub. What arrives is handled in its order, one at a time; a message that is not of the contract
 * ends the connection with the reason.
 */
export class GatewayConnection {
  readonly gatewayId: string;
  readonly #options: GatewayConnectionOptions;
  readonly #socket: WebSocket;
  readonly #ingest: ReportIngest;
  readonly #heartbeat: NodeJS.Timeout;
  #lastHeardAt = Date.now();
  /** -1: nothing pushed yet over this connection, so whatever is desired is pushed. */
  #pushedRevision = -1;
  #work: Promise<void> = Promise.resolve();
  #closed = false;

  constructor(socket: WebSocket, options: GatewayConnectionOptions) {
    this.gatewayId = options.gatewayId;
    this.#options = options;
    this.#socket = socket;
    this.#ingest = new ReportIngest(options.gatewayId, options.gatewayName);
    socket.on("message", (data: Buffer) => this.#queue(() => this.#take(data)));
    socket.on("ping", () => this.#heard());
    socket.on("pong", () => this.#heard());
    socket.on("error", (error) => options.log(`${options.gatewayName}: ${error.message}`));
    this.#heartbeat = setInterval(() => this.#beat(), heartbeatMilliseconds);
    socket.once("close", () => this.#end());
  }

  /** Registers it as connected here, then pushes what is desired. */
  begin(): void {
    this.#queue(async () => {
      const now = new Date();
      const { gatewayId, hubId, remoteAddress } = this.#options;
      const gateway = await database().gateway.update({
        where: { id: gatewayId },
        data: { hubId, connectedAt: now, lastHeardAt: now, remoteAddress },
        select: { siteId: true },
      });
      await announce(database(), { resource: "gateway", id: gatewayId }, { resource: "site", id: gateway.siteId });
    });
    this.pushIfStale(null);
  }

  /** Pushes the desired state when it is newer than what was pushed; `revision` is what is known of the newest, null: look. */
  pushIfStale(revision: number | null): void {
    if (revision !== null && revision <= this.#pushedRevision) return;
    this.#queue(async () => {
      const { state, refused } = await compileDesiredState(database(), this.gatewayId);
      if (state.revision <= this.#pushedRevision) return;
      this.#pushedRevision = state.revision;
      this.#send({ type: "desired", state });
      if (refused.length > 0)
        await ingestVerdicts(
          this.gatewayId,
          state.revision,
          refused.map(({ linkId, reason }) => ({ linkId, outcome: "refused" as const, reason })),
        );
    });
  }

  command(id: string, command: Command): void {
    this.#send({ type: "command", id, command });
  }

  /** At once and without a farewell: the gateway may not be told anything more. */
  drop(reason: string): void {
    if (this.#closed) return;
    this.#options.log(`${this.#options.gatewayName}: disconnected, ${reason}`);
    this.#socket.terminate();
  }

  /** Resolves when everything that arrived before the end is written. */
  async finished(): Promise<void> {
    await this.#work;
  }

  #heard(): void {
    this.#lastHeardAt = Date.now();
  }

  #beat(): void {
    if (Date.now() - this.#lastHeardAt > silenceMilliseconds) return this.drop("nothing was heard of it");
    this.#socket.ping();
  }

  #send(message: FromHub): void {
    if (!this.#closed) this.#socket.send(JSON.stringify(message));
  }

  #queue(work: () => Promise<void>): void {
    this.#work = this.#work.then(work).catch((error: unknown) => {
      // A database that is away for a moment must not cost the gateway its connection: the next report or push tries again.
      this.#options.log(`${this.#options.gatewayName}: ${error instanceof Error ? error.message : String(error)}`);
      this.#pushedRevision = -1;
    });
  }

  async #take(data: Buffer): Promise<void> {
    this.#heard();
    const message = parseMessage(data);
    if (message === null) return this.drop("it sent a message that this hub does not understand");
    await this.#handle(message);
  }

  async #handle(message: FromGateway): Promise<void> {
    switch (message.type) {
      case "hello":
        await database().gateway.update({ where: { id: this.gatewayId }, data: { hostname: message.hostname, agentVersion: message.agentVersion } });
        return;
      case "applied":
        return ingestVerdicts(this.gatewayId, message.revision, message.links);
      case "report":
        return this.#ingest.take(message.state, this.#options.hubId);
      case "trace":
        return ingestTrace(this.gatewayId, message.entries);
      case "result":
        return finishCommand(this.gatewayId, message);
      case "renew": {
        const { certificatePem } = await database().$transaction((tx) => certifyGateway(tx, this.gatewayId, message.csrPem));
        this.#send({ type: "certificate", certificatePem });
        return;
      }
    }
  }

  #end(): void {
    this.#closed = true;
    clearInterval(this.#heartbeat);
    this.#queue(async () => {
      const { gatewayId, hubId } = this.#options;
      // Another hub, or a newer connection to this one, may hold it by now: then it is not disconnected.
      const left = await database().gateway.updateMany({ where: { id: gatewayId, hubId }, data: { hubId: null } });
      if (left.count > 0) await announce(database(), { resource: "gateway", id: gatewayId });
    });
  }
}

function parseMessage(data: Buffer): FromGateway | null {
  try {
    const parsed = fromGateway.safeParse(JSON.parse(data.toString("utf8")));
    return parsed.success ? parsed.data : null;
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}
