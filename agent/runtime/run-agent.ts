import { dirname } from "node:path";
import { mkdirSync } from "node:fs";
import type { DesiredState } from "../../contract/desired-state.ts";
import { Agent } from "./agent.ts";
import { readConfigFile } from "./config-file.ts";
import type { ControlAnswer, ControlRequest } from "./control-protocol.ts";
import { type ControlSocket, openControlSocket } from "./control-socket.ts";
import type { EngineFactories } from "./engine.ts";
import { HubClient } from "./hub-client.ts";
import { StateStore } from "./state-store.ts";
import { createSystemClock, systemRandom } from "./system-clock.ts";
import { agentVersion } from "./version.ts";

export interface RunOptions {
  /** The file to run from; null: the console's orders. */
  readonly config: string | null;
  readonly stateDir: string;
  readonly socket: string;
  readonly factories: EngineFactories;
  readonly log: (line: string) => void;
}

/** The configuration is wrong: one line for each problem. Nothing has been touched. */
export class BadConfig extends Error {
  readonly lines: readonly string[];

  constructor(lines: readonly string[]) {
    super(lines.join("\n"));
    this.lines = lines;
  }
}

/** A running agent; `stop` tells the peers and gives everything back. */
export interface RunningAgent {
  /** Reads the configuration file again. A bad one changes nothing. */
  reload(): Promise<ControlAnswer>;
  stop(): Promise<void>;
}

/** Starts the gateway. Rejects with BadConfig, or with an Error whose message is a sentence; nothing is left behind then. */
export async function runAgent(options: RunOptions): Promise<RunningAgent> {
  return options.config === null ? runManaged(options) : runStandalone(options, options.config);
}

async function runStandalone(options: RunOptions, config: string): Promise<RunningAgent> {
  const { log } = options;
  const first = readOrThrow(config, log);
  const agent = createAgent(options);
  const reload = async (): Promise<ControlAnswer> => {
    const result = readConfigFile(config);
    if (!result.ok) {
      for (const line of result.lines) log(line);
      return { ok: false, message: "The file has errors; the former configuration stays in force.", value: result.lines };
    }
    for (const line of result.warnings) log(line);
    const verdicts = await agent
      .apply(result.state, { retriesSettings: true })
      .catch((error: unknown) => (error instanceof Error ? error : new Error(String(error))));
    if (verdicts instanceof Error) {
      log(`${config} could not be applied: ${verdicts.message}`);
      return { ok: false, message: `The file was read and could not be applied: ${verdicts.message}`, value: null };
    }
    log(`${config} read again: ${verdicts.filter((verdict) => verdict.outcome === "applied").length} of ${verdicts.length} links applied`);
    const refusal = agent.settingsRefusal;
    if (refusal !== null) return { ok: false, message: `The links were read again; the former gateway settings stay in force: ${refusal}`, value: verdicts };
    return { ok: true, message: "The file was read again.", value: verdicts };
  };
  const control = await openControl(options, agent, reload);
  await applyOrClose(agent, first, control);
  log(`running from ${config} with ${first.links.length} link(s); control socket ${options.socket}`);
  return {
    reload,
    stop: () => closeBoth(agent, control),
  };
}

async function runManaged(options: RunOptions): Promise<RunningAgent> {
  const { log } = options;
  const store = new StateStore(options.stateDir);
  const identity = store.loadIdentity();
  if (identity === null)
    throw new Error(
      `${options.stateDir} holds no enrolment: run the command that the console shows ("culvert-agent enrol …") first, or use --config site.yaml`,
    );
  const agent = createAgent(options);
  const reload = async (): Promise<ControlAnswer> => ({ ok: false, message: "This gateway takes its configuration from the console.", value: null });
  const control = await openControl(options, agent, reload);
  const stored = loadStored(store, log);
  if (stored !== null) {
    await applyOrClose(agent, stored, control);
    log(`running revision ${stored.revision} from disk with ${stored.links.length} link(s)`);
  }
  const apply = async (state: DesiredState) => {
    store.stageDesired(state);
    const verdicts = await agent.apply(state);
    if (agent.lastGoodState !== null) store.saveDesired(agent.lastGoodState);
    return verdicts;
  };
  const hub = new HubClient({
    identity,
    saveIdentity: (renewed) => store.saveIdentity(renewed),
    subject: {
      revision: () => agent.state?.revision ?? 0,
      apply,
      running: (linkId) => agent.lastGoodState?.links.find((link) => link.id === linkId) ?? null,
      perform: (command) => agent.perform(command),
      report: () => agent.report(),
    },
    agentVersion,
    log,
    random: () => systemRandom.bytes(1)[0]! / 256,
  });
  agent.onChange(() => hub.noteChange());
  agent.onTrace((step) => hub.noteTrace(step));
  return {
    reload,
    stop: async () => {
      // First: what the console pushes from now on must not be answered as refused, it is for the next start.
      hub.close();
      await closeBoth(agent, control);
    },
  };
}

function createAgent(options: RunOptions): Agent {
  return new Agent({
    factories: options.factories,
    clock: createSystemClock(),
    random: systemRandom,
    agentVersion,
    log: options.log,
    stateDir: options.stateDir,
  });
}

function readOrThrow(config: string, log: (line: string) => void): DesiredState {
  const result = readConfigFile(config);
  if (!result.ok) throw new BadConfig(result.lines);
  for (const line of result.warnings) log(line);
  return result.state;
}

/** A damaged file must not keep the gateway from starting: the hub sends the state again. */
function loadStored(store: StateStore, log: (line: string) => void): DesiredState | null {
  try {
    return store.loadDesired();
  } catch (error) {
    log(`the stored state cannot be used, waiting for the hub: ${error instanceof Error ? error.message : String(error)}`);
    return null;
  }
}

async function applyOrClose(agent: Agent, state: DesiredState, control: ControlSocket): Promise<void> {
  try {
    await agent.apply(state);
  } catch (error) {
    await closeBoth(agent, control);
    throw error;
  }
}

/** Nobody gives orders any more while the peers are told. */
async function closeBoth(agent: Agent, control: ControlSocket): Promise<void> {
  await Promise.all([control.close(), agent.shutdown()]);
}

function openControl(options: RunOptions, agent: Agent, reload: () => Promise<ControlAnswer>): Promise<ControlSocket> {
  mkdirSync(dirname(options.socket), { recursive: true });
  return openControlSocket(options.socket, (request) => answer(request, agent, reload));
}

async function answer(request: ControlRequest, agent: Agent, reload: () => Promise<ControlAnswer>): Promise<ControlAnswer> {
  switch (request.kind) {
    case "status":
      return { ok: true, message: "", value: agent.report() };
    case "command": {
      const result = await agent.perform(request.command);
      return { ok: result.ok, message: result.message, value: result };
    }
    case "reload":
      return reload();
    default:
      return assertNever(request);
  }
}

function assertNever(value: never): never {
  throw new Error(`Unexpected ${JSON.stringify(value)}`);
}
