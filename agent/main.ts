#!/usr/bin/env node
import { provideHmac } from "./crypto/hmac.ts";
import { createLog } from "./runtime/log-writer.ts";
import { z } from "zod";
import { observedState, traceEntry } from "../contract/observed-state.ts";
import { traceFile } from "../contract/trace-file.ts";
import { type Invocation, parseCommandLine, UsageError, usage } from "./runtime/command-line.ts";
import { readConfigFile } from "./runtime/config-file.ts";
import { configJsonSchema } from "./runtime/config-schema.ts";
import { askAgent } from "./runtime/control-client.ts";
import { runPreflight } from "./runtime/preflight-command.ts";
import { runReplay } from "./runtime/replay-command.ts";
import { formatStatus, formatTrace } from "./runtime/status-text.ts";
import { agentVersion } from "./runtime/version.ts";

/** Exit codes: 0 done, 1 failed (preflight: the link would not work; replay: another verdict than recorded), 2 the configuration or the command line is wrong. */
async function main(invocation: Invocation): Promise<number> {
  switch (invocation.kind) {
    case "help":
      process.stdout.write(usage);
      return 0;
    case "version":
      process.stdout.write(`culvert-agent ${agentVersion}\n`);
      return 0;
    case "schema":
      process.stdout.write(`${JSON.stringify(configJsonSchema(), null, 2)}\n`);
      return 0;
    case "check":
      return check(invocation.config);
    case "preflight":
      return runPreflight(invocation);
    case "replay":
      return runReplay(invocation);
    case "run":
      return run(invocation);
    case "enrol":
      return enrolGateway(invocation);
    case "status":
      return status(invocation);
    case "reload": {
      const answer = await askAgent(invocation.socket, { kind: "reload" });
      if (!answer.ok) for (const line of z.array(z.string()).catch([]).parse(answer.value)) process.stderr.write(`${line}\n`);
      process[answer.ok ? "stdout" : "stderr"].write(`${answer.message}\n`);
      return answer.ok ? 0 : 2;
    }
    case "command":
      return command(invocation);
    default:
      return assertNever(invocation);
  }
}

function check(config: string): number {
  const result = readConfigFile(config);
  for (const line of result.ok ? result.warnings : result.lines) process.stderr.write(`${line}\n`);
  if (!result.ok) return 2;
  process.stdout.write(`${config} is good: ${result.state.links.length} link(s)\n`);
  return 0;
}

/** Runs until SIGTERM or SIGINT. Native code is loaded here only, so that the other commands start fast. */
async function run(invocation: Extract<Invocation, { kind: "run" }>): Promise<number> {
  const { BadConfig, runAgent } = await import("./runtime/run-agent.ts");
  const { machineFactories } = await import("./runtime/machine-factories.ts");
  const { opensslHmac } = await import("./dataplane/ffi/openssl-hmac.ts");
  provideHmac(opensslHmac());
  const log = createLog();
  const stopped = new Promise<string>((resolve) => {
    for (const signal of ["SIGTERM", "SIGINT"] as const) process.once(signal, () => resolve(signal));
  });
  try {
    const agent = await runAgent({ ...invocation, factories: machineFactories, log });
    process.on("SIGHUP", () => void agent.reload());
    log(`${await stopped}: telling the peers and stopping`);
    await agent.stop();
    return 0;
  } catch (error) {
    if (!(error instanceof BadConfig)) throw error;
    for (const line of error.lines) process.stderr.write(`${line}\n`);
    return 2;
  }
}

async function enrolGateway(invocation: Extract<Invocation, { kind: "enrol" }>): Promise<number> {
  const { enrol } = await import("./runtime/enrol.ts");
  const { StateStore } = await import("./runtime/state-store.ts");
  // Before the token is spent: a directory that cannot be written must not cost it.
  const store = new StateStore(invocation.stateDir);
  store.reserveIdentity();
  const identity = await enrol({ ...invocation, agentVersion });
  store.saveIdentity(identity);
  process.stdout.write(`This gateway is now "${identity.siteName}". Start it with: culvert-agent run --state-dir ${invocation.stateDir}\n`);
  return 0;
}

async function status(invocation: Extract<Invocation, { kind: "status" }>): Promise<number> {
  const answer = await askAgent(invocation.socket, { kind: "status" });
  const state = observedState.parse(answer.value);
  process.stdout.write(invocation.json ? `${JSON.stringify(state, null, 2)}\n` : formatStatus(state));
  return 0;
}

const commandAnswer = z.object({ trace: z.array(traceEntry).optional(), traceFile: traceFile.optional(), probe: z.unknown().optional() });

async function command(invocation: Extract<Invocation, { kind: "command" }>): Promise<number> {
  const answer = await askAgent(invocation.socket, { kind: "command", command: invocation.command });
  const parsed = commandAnswer.safeParse(answer.value);
  const { trace, traceFile: exported, probe } = parsed.success ? parsed.data : {};
  if (invocation.json) process.stdout.write(`${JSON.stringify(answer.ok && exported !== undefined ? exported : answer.value, null, 2)}\n`);
  else if (answer.ok && trace !== undefined) process.stdout.write(formatTrace(trace));
  else process[answer.ok ? "stdout" : "stderr"].write(`${answer.message}${probe === undefined ? "" : ` ${JSON.stringify(probe)}`}\n`);
  return answer.ok ? 0 : 1;
}

function assertNever(value: never): never {
  throw new Error(`Unexpected ${JSON.stringify(value)}`);
}

try {
  process.exitCode = await main(parseCommandLine(process.argv.slice(2), process.env));
} catch (error) {
  process.stderr.write(`culvert-agent: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = error instanceof UsageError ? 2 : 1;
}
