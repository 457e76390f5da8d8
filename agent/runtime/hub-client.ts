import { X509Certificate } from "node:crypto";
import { hostname } from "node:os";
import { connect } from "node:tls";
import { WebSocket } from "ws";
import type { DesiredLink, DesiredState } from "../../contract/desired-state.ts";
import {
  type Command,
  type FromGateway,
  heartbeatMilliseconds,
  hubPath,
  type LinkVerdict,
  reportMilliseconds,
  silenceMilliseconds,
} from "../../contract/hub-protocol.ts";
import type { ObservedState } from "../../contract/observed-state.ts";
import type { CommandResult } from "./link-commands.ts";
import { hubTlsOptions, parseHubAddress } from "./hub-tls.ts";
import { type PartlyRead, readHubMessage } from "./hub-message.ts";
import { createCertificateRequest } from "./machine-key.ts";
import type { MachineIdentity } from "./state-store.ts";
import { entryOf, type LoggedStep } from "./trace-log.ts";

/** What the hub's orders are carried out on. */
export interface HubSubject {
  readonly revision: () => number;
  readonly apply: (state: DesiredState) => Promise<LinkVerdict[]>;
  /** A link as it runs now; null: it does not. */
  readonly running: (linkId: string) => DesiredLink | null;
  readonly perform: (command: Command) => Promise<CommandResult>;
  readonly report: () => ObservedState;
}

export interface HubClientOptions {
  readonly identity: MachineIdentity;
  readonly saveIdentity: (identity: MachineIdentity) => void;
  readonly subject: HubSubject;
  readonly agentVersion: string;
  readonly log: (line: string) => void;
  /** A number in [0, 1) for the jitter of reconnects. */
  readonly random: () => number;
  /** How often it reports though nothing has changed. Absent: as often as hubs expect it. */
  readonly reportEveryMs?: number;
}

const RECONNECT_FIRST_MS = 500;
const RECONNECT_MAX_MS = 10_000;
const CHANGE_DEBOUNCE_MS = 50;
/** A report of thousands of links takes long to make: between two of them at least so many times as long passes. */
const REPORT_PAUSE_FACTOR = 20;
const TRACE_FLUSH_MS = 50;
const TRACE_BATCH = 500;
const TRACE_BACKLOG = 2_000;
const RENEWAL_CHECK_MS = 60_000;

/**
 * The connection to the hub: mutual TLS 1.3 to the pinned CA, a WebSocket inside. It is kept up for ever and nothing else
 * depends on it: while the hub is away the gateway runs on, and what changed meanwhile is in the first report after.
 */
export class HubClient {
  readonly #options: HubClientOptions;
  #identity: MachineIdentity;
  #socket: WebSocket | null = null;
  #isOpen = false;
  #isClosed = false;
  #delayMs = RECONNECT_FIRST_MS;
  #lastHeardAt = 0;
  #lastFault = "";
  #pendingKeyPem: string | null = null;
  readonly #traces: LoggedStep[] = [];
  #traceTimer: NodeJS.Timeout | null = null;
  #reportTimer: NodeJS.Timeout | null = null;
  #reportCostMs = 0;
  #retryTimer: NodeJS.Timeout | null = null;
  readonly #timers: readonly NodeJS.Timeout[];
  /** Desired states and commands are carried out in the order of their arrival. */
  #work: Promise<void> = Promise.resolve();

  constructor(options: HubClientOptions) {
    this.#options = options;
    this.#identity = options.identity;
    this.#timers = [
      setInterval(() => this.#sendReport(), options.reportEveryMs ?? reportMilliseconds),
      setInterval(() => this.#beat(), heartbeatMilliseconds),
      setInterval(() => void this.#renewIfDue(), RENEWAL_CHECK_MS),
    ];
    this.#connect();
  }

  /** Something a report shows has changed: it is sent within 50 ms; where there are so many links that a report is costly, somewhat later. */
  noteChange(): void {
    this.#reportTimer ??= setTimeout(() => this.#sendReport(), reportDelay(this.#reportCostMs));
  }

  noteTrace(step: LoggedStep): void {
    this.#traces.push(step);
    if (this.#traces.length > TRACE_BACKLOG) this.#traces.splice(0, this.#traces.length - TRACE_BACKLOG);
    this.#traceTimer ??= setTimeout(() => this.#flushTraces(), TRACE_FLUSH_MS);
  }

  close(): void {
    this.#isClosed = true;
    for (const timer of this.#timers) clearInterval(timer);
    for (const timer of [this.#traceTimer, this.#reportTimer, this.#retryTimer]) if (timer !== null) clearTimeout(timer);
    this.#socket?.terminate();
  }

  #connect(): void {
    const { hub, via, caPem, certificatePem, privateKeyPem } = this.#identity;
    const address = parseHubAddress(hub, via);
    const tls = { ...hubTlsOptions(address, caPem), cert: certificatePem, key: privateKeyPem };
    const url = `wss://${address.url.host}${hubPath}`;
    const socket = new WebSocket(url, {
      createConnection: () => connect(tls),
      handshakeTimeout: silenceMilliseconds,
      perMessageDeflate: false,
      maxPayload: 64 * 1_048_576,
    });
    this.#socket = socket;
    socket.on("open", () => this.#opened());
    socket.on("message", (data) => this.#received(String(data)));
    for (const sign of ["ping", "pong"] as const) socket.on(sign, () => this.#heard());
    socket.on("error", (error) => this.#fault(error.message));
    socket.on("close", () => this.#lost());
  }

  #opened(): void {
    const { log, subject, agentVersion } = this.#options;
    this.#isOpen = true;
    this.#delayMs = RECONNECT_FIRST_MS;
    this.#lastFault = "";
    this.#heard();
    log(`connected to the hub at ${this.#identity.hub}`);
    this.#send({ type: "hello", agentVersion, hostname: hostname(), revision: subject.revision() });
    this.#sendReport();
    this.#flushTraces();
    void this.#renewIfDue();
  }

  #lost(): void {
    if (this.#isOpen) this.#options.log("the connection to the hub is lost; tunnels run on, it is tried again");
    this.#isOpen = false;
    this.#socket = null;
    this.#pendingKeyPem = null;
    if (this.#isClosed) return;
    const delay = this.#delayMs * (0.75 + this.#options.random() / 2);
    this.#delayMs = Math.min(this.#delayMs * 2, RECONNECT_MAX_MS);
    this.#retryTimer = setTimeout(() => this.#connect(), Math.min(delay, RECONNECT_MAX_MS));
  }

  /** The same fault again and again is told once. */
  #fault(sentence: string): void {
    if (sentence !== this.#lastFault && !this.#isClosed) this.#options.log(`hub: ${sentence}`);
    this.#lastFault = sentence;
  }

  #heard(): void {
    this.#lastHeardAt = performance.now();
  }

  #beat(): void {
    if (!this.#isOpen) return;
    if (performance.now() - this.#lastHeardAt > silenceMilliseconds) this.#socket?.terminate();
    else this.#socket?.ping();
  }

  #received(text: string): void {
    this.#heard();
    const message = readHubMessage(text, this.#options.subject.running);
    if (message === null) {
      this.#fault("a message from the hub could not be read; are hub and agent of the same version?");
      return;
    }
    this.#work = this.#work.then(() => this.#carryOut(message)).catch((error: unknown) => this.#fault(error instanceof Error ? error.message : String(error)));
  }

  async #carryOut(message: NonNullable<ReturnType<typeof readHubMessage>>): Promise<void> {
    switch (message.type) {
      case "desired":
        return this.#applyDesired(message.state, []);
      case "partlyRead":
        return this.#applyPart(message);
      case "command":
        // Not awaited: a probe of minutes must not hold up the next configuration.
        void this.#options.subject
          .perform(message.command)
          .catch((error: unknown): CommandResult => ({ ok: false, message: error instanceof Error ? error.message : String(error) }))
          .then((result) => this.#send({ type: "result", id: message.id, ...result }));
        return;
      case "certificate":
        return this.#takeCertificate(message.certificatePem);
      default:
        assertNever(message);
    }
  }

  async #applyPart({ state, revision, refused }: PartlyRead): Promise<void> {
    for (const { linkId, reason } of refused) this.#options.log(`link ${linkId} refused: ${reason}`);
    if (state === null) this.#send({ type: "applied", revision, links: [...refused] });
    else await this.#applyDesired(state, refused);
  }

  /** `refused` before it was applied: these links go on as they are. */
  async #applyDesired(state: DesiredState, refused: readonly LinkVerdict[]): Promise<void> {
    try {
      const applied = await this.#options.subject.apply(state);
      const links = [...applied.filter(({ linkId }) => !refused.some((verdict) => verdict.linkId === linkId)), ...refused];
      this.#send({ type: "applied", revision: state.revision, links });
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      this.#fault(reason);
      this.#send({ type: "applied", revision: state.revision, links: state.links.map((link) => ({ linkId: link.id, outcome: "refused", reason })) });
    }
    this.noteChange();
  }

  /** At two thirds of the certificate's life a new key is made and its certificate asked for. */
  async #renewIfDue(): Promise<void> {
    if (!this.#isOpen || this.#pendingKeyPem !== null) return;
    const certificate = new X509Certificate(this.#identity.certificatePem);
    const from = certificate.validFromDate.getTime();
    const dueAt = from + ((certificate.validToDate.getTime() - from) * 2) / 3;
    if (Date.now() < dueAt) return;
    this.#pendingKeyPem = "";
    const { privateKeyPem, csrPem } = await createCertificateRequest(this.#identity.gatewayId);
    this.#pendingKeyPem = privateKeyPem;
    if (!this.#send({ type: "renew", csrPem })) this.#pendingKeyPem = null;
  }

  #takeCertificate(certificatePem: string): void {
    const privateKeyPem = this.#pendingKeyPem;
    this.#pendingKeyPem = null;
    if (privateKeyPem === null || privateKeyPem === "") throw new Error("the hub sent a certificate that was not asked for");
    const certificate = new X509Certificate(certificatePem);
    if (!certificate.verify(new X509Certificate(this.#identity.caPem).publicKey)) throw new Error("the new certificate is not signed by the console's CA");
    const renewed = { ...this.#identity, certificatePem, privateKeyPem };
    // First on the disk: with one that cannot be stored the next start would go back to this one, which still counts then.
    this.#options.saveIdentity(renewed);
    this.#identity = renewed;
    this.#options.log(`the gateway's certificate was renewed until ${certificate.validToDate.toISOString()}`);
  }

  #sendReport(): void {
    if (this.#reportTimer !== null) clearTimeout(this.#reportTimer);
    this.#reportTimer = null;
    if (!this.#isOpen) return;
    const begun = performance.now();
    this.#send({ type: "report", state: this.#options.subject.report() });
    this.#reportCostMs = performance.now() - begun;
  }

  #flushTraces(): void {
    if (this.#traceTimer !== null) clearTimeout(this.#traceTimer);
    this.#traceTimer = null;
    while (this.#isOpen && this.#traces.length > 0) {
      const entries = this.#traces.slice(0, TRACE_BATCH).map(entryOf);
      if (!this.#send({ type: "trace", entries })) return;
      this.#traces.splice(0, entries.length);
    }
  }

  #send(message: FromGateway): boolean {
    if (!this.#isOpen || this.#socket?.readyState !== WebSocket.OPEN) return false;
    this.#socket.send(JSON.stringify(message));
    return true;
  }
}

function assertNever(value: never): never {
  throw new Error(`Unexpected ${JSON.stringify(value)}`);
}

/** How long after a change it is reported, in milliseconds: several changes become one report, and one that takes long to make is made seldom. */
export function reportDelay(costMs: number): number {
  return Math.max(CHANGE_DEBOUNCE_MS, REPORT_PAUSE_FACTOR * costMs);
}
