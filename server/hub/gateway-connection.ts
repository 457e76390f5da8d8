import type { WebSocket } from "ws";
import { type Command, fromGateway, type FromGateway, type FromHub, heartbeatMilliseconds, silenceMilliseconds } from "../../contract/hub-protocol.ts";
import type { ObservedState } from "../../contract/observed-state.ts";
import { endCommand } from "../commands/gateway-command.ts";
import { announce, type Change } from "../db/changes.ts";
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
  /** The certificate it was admitted by. */
  readonly certificateId: string;
  /** This connection's own name: two of one gateway may overlap for a moment, at two hubs or at one. */
  readonly holder: string;
  readonly remoteAddress: string | null;
  readonly log: (line: string) => void;
}

/**
 * One gateway's connection to this hub. What arrives is handled in its order, one at a time; a message that is not of the contract
 * ends the connection with the reason.
 */
export class GatewayConnection {
  readonly gatewayId: string;
  readonly certificateId: string;
  readonly holder: string;
  readonly #options: GatewayConnectionOptions;
  readonly #socket: WebSocket;
  readonly #ingest: ReportIngest;
  readonly #heartbeat: NodeJS.Timeout;
  #lastHeardAt = Date.now();
  /** -1: nothing pushed yet over this connection, so whatever is desired is pushed. */
  #pushedRevision = -1;
  #isPushWaiting = false;
  #isRegistered = false;
  /** The newest report that is not written yet. A report holds totals, so that an older one which has to wait can be left out. */
  #report: ObservedState | null = null;
  /** Commands that were sent here and not answered yet. */
  readonly #unanswered = new Set<string>();
  #work: Promise<void> = Promise.resolve();
  #closed = false;

  constructor(socket: WebSocket, options: GatewayConnectionOptions) {
    this.gatewayId = options.gatewayId;
    this.certificateId = options.certificateId;
    this.holder = options.holder;
    this.#options = options;
    this.#socket = socket;
    this.#ingest = new ReportIngest(options.gatewayId, options.gatewayName);
    socket.on("message", (data: Buffer) => this.#take(data));
    socket.on("ping", () => this.#heard());
    socket.on("pong", () => this.#heard());
    socket.on("error", (error) => options.log(`${options.gatewayName}: ${error.message}`));
    this.#heartbeat = setInterval(() => this.#beat(), heartbeatMilliseconds);
    socket.once("close", () => this.#end());
  }

  /** Registers it as connected here, then pushes what is desired. */
  begin(): void {
    this.#queue(() => this.#register());
    this.pushIfStale(null);
  }

  /** Pushes the desired state when it is newer than what was pushed; `revision` is what is known of the newest, null: look. */
  pushIfStale(revision: number | null): void {
    if (this.#isPushWaiting || (revision !== null && revision <= this.#pushedRevision)) return;
    this.#isPushWaiting = true;
    this.#queue(async () => {
      this.#isPushWaiting = false;
      const { state, refused } = await compileDesiredState(this.gatewayId);
      if (state.revision <= this.#pushedRevision) return;
      if (refused.length > 0) {
        const verdicts = refused.map(({ linkId, reason }) => ({ linkId, outcome: "refused" as const, reason }));
        await ingestVerdicts(this.gatewayId, state.revision, verdicts);
      }
      this.#pushedRevision = state.revision;
      this.#send({ type: "desired", state });
    });
  }

  /** Its answer comes over this connection or not at all. */
  command(id: string, command: Command): void {
    this.#unanswered.add(id);
    if (this.#closed) this.#queue(() => this.#endUnanswered());
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
      // A database that is away for a moment must not cost the gateway its connection: the next report or look tries again.
      this.#options.log(`${this.#options.gatewayName}: ${error instanceof Error ? error.message : String(error)}`);
    });
  }

  #take(data: Buffer): void {
    this.#heard();
    const message = parseMessage(data);
    if (message === null) return this.drop("it sent a message that this hub does not understand");
    if (message.type !== "report") return this.#queue(() => this.#handle(message));
    const isWaiting = this.#report !== null;
    this.#report = message.state;
    if (!isWaiting) this.#queue(() => this.#writeReport());
  }

  async #register(): Promise<void> {
    const now = new Date();
    const { remoteAddress } = this.#options;
    const data = { hubId: this.holder, connectedAt: now, lastHeardAt: now, remoteAddress };
    const { siteId } = await database().gateway.update({ where: { id: this.gatewayId }, data, select: { siteId: true } });
    this.#isRegistered = true;
    await announce(database(), { resource: "gateway", id: this.gatewayId }, { resource: "site", id: siteId });
  }

  async #writeReport(): Promise<void> {
    const report = this.#report;
    this.#report = null;
    if (report === null || this.#closed) return;
    if (!this.#isRegistered) await this.#register();
    await this.#ingest.take(report, this.holder);
  }

  async #handle(message: Exclude<FromGateway, { type: "report" }>): Promise<void> {
    switch (message.type) {
      case "hello":
        await database().gateway.update({ where: { id: this.gatewayId }, data: { hostname: message.hostname, agentVersion: message.agentVersion } });
        return;
      case "applied":
        return ingestVerdicts(this.gatewayId, message.revision, message.links);
      case "trace":
        return ingestTrace(this.gatewayId, message.entries);
      case "result":
        this.#unanswered.delete(message.id);
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
    this.#queue(() => this.#endUnanswered());
    this.#queue(async () => {
      // Another connection may hold it by now: then it is not disconnected.
      const left = await database().gateway.updateMany({ where: { id: this.gatewayId, hubId: this.holder }, data: { hubId: null } });
      if (left.count > 0) await announce(database(), ...(await this.#concerned()));
    });
  }

  async #endUnanswered(): Promise<void> {
    for (const id of this.#unanswered) {
      await endCommand(id, "The connection to the gateway was lost before it answered.");
      this.#unanswered.delete(id);
    }
  }

  /** What looks different while the gateway is away. */
  async #concerned(): Promise<Change[]> {
    const gateway = await database().gateway.findUnique({ where: { id: this.gatewayId }, select: { siteId: true } });
    if (gateway === null) return [];
    const { siteId } = gateway;
    const links = await database().link.findMany({ where: { OR: [{ siteAId: siteId }, { siteBId: siteId }] }, select: { id: true } });
    return [{ resource: "gateway", id: this.gatewayId }, { resource: "site", id: siteId }, ...links.map(({ id }) => ({ resource: "link", id }) as const)];
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
