import { join } from "node:path";
import type { DesiredLink, DesiredState } from "../../contract/desired-state.ts";
import type { Command, LinkVerdict } from "../../contract/hub-protocol.ts";
import type { ObservedState } from "../../contract/observed-state.ts";
import type { LinkSnapshot, RandomSource, TraceSource } from "../ike/endpoint-types.ts";
import { canServe, closeEngine, type Engine, type EngineFactories, type GatewaySettings, isSameSettings, openEngine } from "./engine.ts";
import { FaultLog } from "./fault-log.ts";
import { type CommandResult, probeLink, takenSentences, traceLink } from "./link-commands.ts";
import { LinkProbes } from "./link-probes.ts";
import { routesOf } from "./link-routes.ts";
import { PeerAddresses } from "./peer-addresses.ts";
import { Prober } from "./probe.ts";
import { Reconciler } from "./reconcile.ts";
import { buildReport, type LinkToReport } from "./reporter.ts";
import type { DriverParts } from "./driver.ts";
import type { Clock } from "./system-clock.ts";
import { RevocationChecks } from "./revocation-checks.ts";
import { statedLists } from "./stated-lists.ts";
import { type LoggedStep, TraceLog } from "./trace-log.ts";

export interface AgentOptions {
  readonly factories: EngineFactories;
  readonly clock: Clock;
  readonly random: RandomSource;
  readonly agentVersion: string;
  /** One line for the operator; never holds a secret. */
  readonly log: (line: string) => void;
  /** Where revocation lists outlive the process; absent: nowhere. */
  readonly stateDir?: string;
}

const RECLAIM_AFTER_MS = 2_500;
const RECLAIM_REOPENED_AFTER_MS = 500;
const REBUILD_RETRY_MS = 2_000;
const ADDRESS_REFRESH_MS = 5_000;
const emptyState: readonly DesiredLink[] = [];

/** The gateway: what is wanted goes in through `apply`, what is goes out through `report` and the two listeners. */
export class Agent {
  readonly #options: AgentOptions;
  readonly #startedAt: number;
  readonly #traces = new TraceLog();
  readonly #prober: Prober;
  readonly #probes: LinkProbes;
  /** They outlive an engine: one that is opened anew begins with what is known. */
  readonly #addresses: PeerAddresses;
  readonly #idleSince = new Map<string, number>();
  readonly #changeListeners = new Set<() => void>();
  readonly #traceListeners = new Set<(step: LoggedStep) => void>();
  #state: DesiredState | null = null;
  #engine: Engine | null = null;
  #reconciler: Reconciler | null = null;
  #routeFaults = new Map<string, string>();
  #work: Promise<unknown> = Promise.resolve();
  #refreshTimer: NodeJS.Timeout | null = null;
  #following: Promise<void> | null = null;
  #awaitsRoutes = false;
  #watch: { close(): void } | null = null;
  #reclaimTimer: NodeJS.Timeout | null = null;
  readonly #faults: FaultLog;
  readonly #revocation: RevocationChecks;
  /** Settings that could not be had: those of before are in force in their place. */
  #refusedSettings: { readonly settings: GatewaySettings; readonly reason: string } | null = null;
  #reopening: Promise<void> | null = null;
  #isClosed = false;

  constructor(options: AgentOptions) {
    this.#options = options;
    this.#faults = new FaultLog(() => options.clock.now(), options.log);
    this.#revocation = new RevocationChecks({
      now: () => options.clock.wallNow(),
      onChange: () => void this.#engine?.driver.submit({ kind: "revocationChanged" }),
      log: (sentence) => this.#faults.tell(sentence),
      directory: options.stateDir === undefined ? null : join(options.stateDir, "revocation"),
    });
    this.#addresses = new PeerAddresses(() => this.#inBackground(() => this.#useAddresses()), options.factories.resolveHost);
    this.#startedAt = options.clock.now();
    const identifier = options.random.bytes(2);
    this.#prober = new Prober((identifier[0]! << 8) | identifier[1]!);
    this.#probes = new LinkProbes(this.#prober, (linkId) => this.#snapshots().get(linkId)?.state === "up");
  }

  /** The state in force; null: none yet. */
  get state(): DesiredState | null {
    return this.#state;
  }

  /** The state to start from after a restart: for a link whose latest version was refused, the version that runs. */
  get lastGoodState(): DesiredState | null {
    if (this.#state === null) return null;
    const { held, running } = this.#reconciler ?? { held: new Map<string, unknown>(), running: new Map<string, { desired: DesiredLink }>() };
    return { ...this.#state, links: this.#state.links.map((link) => (held.has(link.id) ? (running.get(link.id)?.desired ?? link) : link)) };
  }

  /** Called on every event of the engine that a report would show. */
  onChange(listener: () => void): void {
    this.#changeListeners.add(listener);
  }

  onTrace(listener: (step: LoggedStep) => void): void {
    this.#traceListeners.add(listener);
  }

  /** Why the gateway settings that are wanted are not in force; null: they are. */
  get settingsRefusal(): string | null {
    return this.#refusedSettings?.reason ?? null;
  }

  /**
   * Makes `state` the one in force; what is wrong with single links is in their verdicts. When other gateway settings than those in force cannot be
   * had, the links are taken under those in force and `settingsRefusal` says why; they are not tried again, which costs every tunnel a second, until
   * others are wanted or `retriesSettings`. Rejects when no settings can be had, and once the agent is closed.
   */
  async apply(state: DesiredState, { retriesSettings = false } = {}): Promise<LinkVerdict[]> {
    const first = await this.#exclusively(() => this.#take(state, retriesSettings));
    await this.#followNames();
    const verdicts = first.map((verdict, index) => this.#reconciler?.verdictOf(state.links[index]!) ?? verdict);
    for (const verdict of verdicts) if (verdict.outcome === "refused") this.#options.log(`link ${verdict.linkId} refused: ${verdict.reason}`);
    this.#changed();
    return verdicts;
  }

  async #take(state: DesiredState, retriesSettings: boolean): Promise<LinkVerdict[]> {
    if (this.#isClosed) throw new Error("the gateway is stopping");
    const refused = this.#refusedSettings;
    this.#refusedSettings = null;
    const former = this.#state;
    if (former === null) return this.#make(state);
    const gateway = { ...former.gateway, name: state.gateway.name };
    if (refused !== null && !retriesSettings && isSameSettings(refused.settings, state.gateway)) {
      this.#refusedSettings = refused;
      return this.#make({ ...state, gateway });
    }
    try {
      return await this.#make(state);
    } catch (error) {
      if (this.#engine !== null || isSameSettings(gateway, state.gateway)) throw error;
      const reason = error instanceof Error ? error.message : String(error);
      this.#options.log(`the new gateway settings cannot be had: ${reason}; the former ones stay in force`);
      this.#refusedSettings = { settings: state.gateway, reason };
      return await this.#makeOrReopen({ ...state, gateway });
    }
  }

  async #make(state: DesiredState): Promise<LinkVerdict[]> {
    const before = this.#engine;
    const reconciler = await this.#reconcilerFor(state);
    // Before the links: none may be authenticated by what the new state says is revoked.
    await this.#revocation.take(statedLists(state));
    const verdicts = await reconciler.apply(state);
    // A peer whose name is being looked up must not be told that there is no link for it.
    if (!reconciler.awaitsNames) this.#engine?.driver.start();
    if (this.#engine !== before) this.#reclaimLater(this.#state === null ? RECLAIM_AFTER_MS : RECLAIM_REOPENED_AFTER_MS);
    this.#state = state;
    await this.#followLinks(reconciler, state);
    return verdicts;
  }

  /** Routes, probes and reports go by the links that run. */
  async #followLinks(reconciler: Reconciler, state: DesiredState): Promise<void> {
    await this.#applyRoutes();
    this.#probes.apply([...reconciler.running.values()].map((link) => link.desired));
    this.#noteIdleLinks(state);
    this.#changed();
  }

  /** A gateway that has tunnels must not be left without an engine: what could be had a moment ago is tried until it can be again. */
  async #makeOrReopen(state: DesiredState): Promise<LinkVerdict[]> {
    try {
      return await this.#make(state);
    } catch (error) {
      this.#state = state;
      void this.#reopen();
      throw error;
    }
  }

  async perform(command: Command): Promise<CommandResult> {
    const link = this.#state?.links.find((candidate) => candidate.id === command.linkId);
    if (link === undefined) return { ok: false, message: `There is no link "${command.linkId}".` };
    if (command.name === "trace") return this.#trace(command);
    if (!link.enabled) return { ok: false, message: `Link "${link.id}" is disabled in the configuration.` };
    const held = this.#reconciler?.held.get(link.id);
    if (held !== undefined && !this.#reconciler?.running.has(link.id)) return { ok: false, message: `Link "${link.id}" cannot run: ${held.reason}` };
    if (command.name === "probe") return probeLink(this.#prober, link, command);
    const driver = this.#engine?.driver;
    if (driver === undefined) return { ok: false, message: "The gateway is not running." };
    await driver.submit(command.name === "rekey" ? { kind: "rekey", linkId: link.id, what: command.what } : { kind: command.name, linkId: link.id });
    this.#changed();
    return { ok: true, message: `${takenSentences[command.name]} "${link.id}".` };
  }

  report(): ObservedState {
    return buildReport({
      at: this.#options.clock.now(),
      revision: this.#state?.revision ?? 0,
      agentVersion: this.#options.agentVersion,
      startedAt: this.#startedAt,
      plane: this.#engine?.plane ?? null,
      links: (this.#state?.links ?? emptyState).map((link) => this.#linkToReport(link)),
      snapshots: this.#snapshots(),
      idleSince: this.#idleSince,
      settingsRefusal: this.settingsRefusal,
    });
  }

  /** Deletes every SA with its peer and gives device, routes and ports back. */
  shutdown(): Promise<void> {
    this.#isClosed = true;
    return this.#exclusively(async () => {
      if (this.#refreshTimer !== null) clearInterval(this.#refreshTimer);
      if (this.#reclaimTimer !== null) clearTimeout(this.#reclaimTimer);
      this.#watch?.close();
      this.#probes.close();
      this.#revocation.close();
      this.#prober.close();
      await this.#closeEngine();
    });
  }

  /** From here on nobody takes it for one that runs, whatever becomes of closing it. */
  async #closeEngine(): Promise<void> {
    const engine = this.#engine;
    this.#engine = null;
    if (engine !== null) await closeEngine(engine);
  }

  async #reconcilerFor(state: DesiredState): Promise<Reconciler> {
    if (this.#engine !== null && this.#reconciler !== null && canServe(this.#engine, state.gateway)) return this.#reconciler;
    if (this.#engine !== null) {
      this.#options.log("gateway settings changed: device and ports are opened anew");
      await this.#closeEngine();
    }
    const { factories, clock, random, log } = this.#options;
    // Null for what the plane tells before it is open: there are no SAs and no routes yet that could be lost.
    let opened: Engine | null = null;
    const engine = await openEngine(state.gateway, {
      factories,
      clock,
      random,
      onEvent: (event) => {
        if (event.kind === "failed") this.#faults.tell(`${event.linkId === null ? "" : `link ${event.linkId}: `}${event.code}: ${event.sentence}`);
        else if (event.kind === "linkUp" || event.kind === "linkDown") log(`link ${event.linkId} is ${event.kind === "linkUp" ? "up" : "down"}`);
        this.#changed();
      },
      onTrace: (record) => this.#recordTrace(record),
      revocation: this.#revocation.store,
      onRevocationQuery: (query) => void this.#revocation.ask(query),
      onPlaneFailed: (reason) => {
        log(`the data plane failed: ${reason}; every link is set up anew`);
        this.#inBackground(() => this.#rebuild(opened));
      },
      onPlaneFault: (fault) => this.#inBackground(() => this.#repair(opened, fault)),
      onFault: (sentence) => this.#faults.tell(sentence),
    });
    opened = engine;
    this.#engine = engine;
    this.#reconciler = new Reconciler({
      submit: (input) => engine.driver.submit(input),
      peerName: (name) => this.#addresses.of(name),
      plane: engine.plane.capabilities,
    });
    this.#refreshTimer ??= setInterval(() => this.#refreshAddresses(), ADDRESS_REFRESH_MS);
    this.#watch ??= factories.watchNetwork?.(() => this.#restoreRoutesInTurn()) ?? null;
    return this.#reconciler;
  }

  #reclaimLater(afterMs: number): void {
    if (this.#reclaimTimer !== null) clearTimeout(this.#reclaimTimer);
    this.#reclaimTimer = setTimeout(() => void this.#reclaimLinks(), afterMs);
  }

  /**
   * After a crash the peer still holds the SAs of before and would notice only by its liveness checks, some 30 s on. So an end
   * that merely responds calls once itself when it has just started and the peer has not: INITIAL_CONTACT (RFC 7296 §2.4) then
   * clears the peer's old SAs. After the engine was opened anew the peer has no SAs, and may wait to be called as well.
   */
  async #reclaimLinks(): Promise<void> {
    const snapshots = this.#snapshots();
    for (const { config } of this.#reconciler?.running.values() ?? []) {
      const state = snapshots.get(config.id)?.state ?? "down";
      if (config.initiate === "respond" && config.remoteAddresses.length > 0 && state === "down")
        await this.#engine?.driver.submit({ kind: "up", linkId: config.id });
    }
  }

  /** The IKE SAs are whole: lost SAs are replaced by rekeying what they belonged to, a new device is given its routes. */
  async #repair(engine: Engine | null, fault: Parameters<DriverParts["onPlaneFault"]>[0]): Promise<void> {
    const { log } = this.#options;
    if (engine === null || this.#engine !== engine) return;
    if (fault.kind === "recovered") return log(fault.reason);
    if (fault.kind === "deviceLost") return this.#faults.tell(fault.reason);
    if (fault.kind === "deviceReplaced") {
      log(`${fault.reason}: it was made again`);
      return this.#restoreRoutes();
    }
    log(`${fault.reason}: its ${fault.direction} SAs are lost, every Child SA is rekeyed`);
    const links = [...(this.#reconciler?.running.keys() ?? [])];
    await Promise.all(links.map((linkId) => engine.driver.submit({ kind: "rekey", linkId, what: "child" })));
    this.#changed();
  }

  /** Opens device, ports and engine again and gives them the state in force; tries until it works. */
  async #rebuild(failed: Engine | null): Promise<void> {
    // Another failure of the same engine, or a change of settings, has been here before.
    if (this.#engine !== failed || this.#state === null) return;
    await this.#closeEngine();
    void this.#reopen();
  }

  /** Gives the state in force an engine, and tries until it works. Resolves then, or when the agent is closed. */
  #reopen(): Promise<void> {
    const untilOpen = async () => {
      while (this.#state !== null && this.#engine === null && !this.#isClosed) {
        try {
          await this.#exclusively(async () => {
            if (this.#state !== null && this.#engine === null && !this.#isClosed) await this.#make(this.#state);
          });
          this.#refreshAddresses();
        } catch (error) {
          this.#faults.tellError(error);
          await new Promise((resolve) => setTimeout(resolve, REBUILD_RETRY_MS));
        }
      }
    };
    this.#reopening ??= untilOpen().finally(() => {
      this.#reopening = null;
    });
    return this.#reopening;
  }

  /** One round at a time: it may have to wait for its turn. */
  #refreshAddresses(): void {
    this.#following ??= this.#followNames()
      .catch((error: unknown) => this.#faults.tellError(error))
      .finally(() => {
        this.#following = null;
      });
  }

  /** Names are looked up beside the queue, for a name server that is away is silent for long; what they give is set in its turn. */
  async #followNames(): Promise<void> {
    const names = this.#reconciler?.namesToFollow(this.#idleness());
    if (names === undefined || names.size === 0) return;
    await this.#addresses.lookUp(names);
    await this.#exclusively(() => this.#useAddresses());
  }

  async #useAddresses(): Promise<void> {
    if (this.#engine === null || this.#reconciler === null || this.#state === null) return;
    const changed = await this.#reconciler.refreshAddresses(this.#idleness());
    this.#engine.driver.start();
    if (changed.length === 0) return;
    this.#options.log(`addresses of ${changed.join(", ")} resolved`);
    await this.#followLinks(this.#reconciler, this.#state);
  }

  /** Tells of a link whether nothing of it is up. */
  #idleness(): (linkId: string) => boolean {
    const snapshots = this.#snapshots();
    return (linkId) => snapshots.get(linkId)?.state === "down" || snapshots.get(linkId)?.state === "negotiating";
  }

  /** However often the network changes until its turn comes, once is enough. */
  #restoreRoutesInTurn(): void {
    if (this.#awaitsRoutes) return;
    this.#awaitsRoutes = true;
    this.#inBackground(() => {
      this.#awaitsRoutes = false;
      return this.#restoreRoutes();
    });
  }

  /** What the kernel has dropped with a device or an address is set again, as soon as it can be. */
  async #restoreRoutes(): Promise<void> {
    await this.#engine?.routes.forgetVanished();
    await this.#applyRoutes();
    this.#changed();
  }

  async #applyRoutes(): Promise<void> {
    if (this.#engine === null || this.#reconciler === null) return;
    const links = [...this.#reconciler.running.values()].map((link) => routesOf(link, this.#deviceOf(link.desired.id)));
    this.#routeFaults = await this.#engine.routes.apply(links);
    for (const [linkId, fault] of this.#routeFaults) this.#faults.tell(`link ${linkId}: ${fault}`);
  }

  /** The link's own device; undefined: it has none. */
  #deviceOf(linkId: string): string | undefined {
    const prefix = this.#engine?.plane.capabilities.interfacePrefix;
    const number = this.#reconciler?.running.get(linkId)?.config.interfaceNumber;
    return prefix === undefined || number === undefined ? undefined : `${prefix}${number}`;
  }

  #trace(command: Extract<Command, { name: "trace" }>): CommandResult {
    const { agentVersion, clock } = this.#options;
    const config = this.#reconciler?.running.get(command.linkId)?.config ?? null;
    return traceLink(this.#traces, command, config, { gateway: this.#state?.gateway.name ?? "", agentVersion, exportedAt: clock.now() });
  }

  #linkToReport(link: DesiredLink): LinkToReport {
    return {
      id: link.id,
      enabled: link.enabled,
      heldReason: this.#reconciler?.held.get(link.id)?.reason ?? null,
      routeFault: this.#routeFaults.get(link.id) ?? null,
      device: this.#deviceOf(link.id),
      children: link.children,
      probe: this.#probes.stateOf(link.id),
    };
  }

  #snapshots(): Map<string, LinkSnapshot> {
    const snapshots = this.#engine?.endpoint.snapshot(this.#options.clock.now()) ?? [];
    return new Map(snapshots.map((snapshot) => [snapshot.linkId, snapshot]));
  }

  #noteIdleLinks(state: DesiredState): void {
    const idle = new Set(state.links.filter((link) => !link.enabled || this.#reconciler?.held.has(link.id)).map((link) => link.id));
    for (const id of this.#idleSince.keys()) if (!idle.has(id)) this.#idleSince.delete(id);
    for (const id of idle) if (!this.#idleSince.has(id)) this.#idleSince.set(id, this.#options.clock.now());
  }

  #recordTrace(source: TraceSource): void {
    const step = this.#traces.add(source);
    for (const listener of this.#traceListeners) listener(step);
  }

  #changed(): void {
    for (const listener of this.#changeListeners) listener();
  }

  #inBackground(work: () => Promise<void>): void {
    this.#exclusively(work).catch((error: unknown) => this.#faults.tellError(error));
  }

  /** One change of configuration at a time, in the order asked for. */
  #exclusively<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#work.then(work, work);
    this.#work = result.catch(() => undefined);
    return result;
  }
}
