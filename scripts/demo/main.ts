import type { ChildProcess } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { randomBytes } from "node:crypto";
import { prepareSetup } from "../../server/auth/setup.ts";
import { closeDatabase } from "../../server/db/client.ts";
import { type EmbeddedDatabase, startEmbeddedDatabase } from "../../server/db/embedded.ts";
import { freePort } from "../../server/db/free-port.ts";
import { migrate } from "../../server/db/migrate.ts";
import { childEnvironment, root } from "../setup.mjs";
import { type ChildOptions, startConsole, startHub } from "../start/console.ts";
import { dataDirectory } from "../start/data-directory.ts";
import { Processes, startTicksOf } from "../start/processes.ts";
import { takeSignals } from "../start/signals.ts";
import { askField, type FieldReply, type Measurement, type TunnelFacts } from "./field-protocol.ts";
import { findPrivileges } from "./requirements.ts";
import { seedLink, seedSites } from "./seed.ts";

let started = performance.now();
const { values: flags } = parseArgs({ options: { once: { type: "boolean", default: false }, verbose: { type: "boolean", default: false } } });
/** With --once standard output holds the one JSON object and nothing else. */
const say = (line: string): void => void process[flags.once ? "stderr" : "stdout"].write(`[demo ${seconds().toFixed(1).padStart(5)} s] ${line}\n`);

/** What `--once` prints. */
interface Report extends Measurement, TunnelFacts {
  readonly secondsToReady: number;
  readonly secondsToLinkUp: number;
}

/** Everything the demo has made, to be ended in the opposite order. */
interface Stage {
  readonly processes: Processes;
  readonly directory: string;
  database: Promise<EmbeddedDatabase> | null;
  field: ChildProcess | null;
}

/** `npm run demo [-- --once] [--verbose]`. Exit code 0 when it was ended by a signal or when `--once` found everything right. */
async function main(): Promise<number> {
  const { promise: interrupted, resolve: interrupt } = Promise.withResolvers<number>();
  takeSignals(() => interrupt(0));
  const privileges = findPrivileges();
  await removeLeftovers();
  // What is promised is counted from here: to end what a killed demo left takes as long as that takes.
  started = performance.now();
  const name = `${process.pid}-${startTicksOf(process.pid)}`;
  const data = join(demosDirectory(), name);
  const directory = join(tmpdir(), `culvert-demo-${name}`);
  for (const path of [data, directory]) mkdirSync(path, { mode: 0o711 });
  const stage: Stage = { processes: new Processes(join(data, "processes.json")), directory, database: null, field: null };
  const fail = (sentence: string): void => {
    say(sentence);
    interrupt(1);
  };
  try {
    return await Promise.race([play(stage, data, privileges.kind === "root" ? [] : privileges.prefix, fail, interrupted), interrupted]);
  } finally {
    say("removing everything");
    await close(stage, data);
  }
}

async function play(
  stage: Stage,
  data: string,
  fieldPrefix: readonly string[],
  fail: (sentence: string) => void,
  interrupted: Promise<number>,
): Promise<number> {
  say("starting Postgres");
  const field = startField(stage, fieldPrefix, fail);
  // Awaited further down; a failure meanwhile is not unhandled.
  field.catch(() => undefined);
  stage.database = startEmbeddedDatabase(join(data, "postgres"));
  const database = await stage.database;
  await migrate(database.url, join(root, "prisma/migrations"));

  const consolePort = await freePort();
  const hubPort = await freePort();
  const hubUrl = `https://localhost:${hubPort}`;
  // Inside the namespaces there is no way to the console but this socket: nothing of it can be seen in the middle.
  const hubSocket = join(stage.directory, "hub.sock");
  const env = {
    DATABASE_URL: database.url,
    CULVERT_MASTER_KEY: randomBytes(32).toString("base64"),
    CULVERT_SESSION_SECRET: randomBytes(32).toString("base64"),
    CULVERT_CONSOLE_URL: `http://localhost:${consolePort}`,
    CULVERT_HUB_URL: hubUrl,
    CULVERT_HUB_PORT: String(hubPort),
    CULVERT_HUB_UNIX: hubSocket,
    CULVERT_BIND: "127.0.0.1",
  };
  Object.assign(process.env, env);
  say("starting the console, the hub and two gateways");
  const options = childOptions(stage.processes, env, fail);
  const consoleReady = startConsole(options("console"), consolePort);
  consoleReady.catch(() => undefined);
  const [seeded, fieldProcess] = await Promise.all([seedSites(), field, startHub(options("hub"))]);
  const order = (token: string, name: string) => ({ token, stateDirectory: join(stage.directory, name) });
  await askField(fieldProcess, { kind: "enrol", hubUrl, hubSocket, left: order(seeded.left.token, "amsterdam"), right: order(seeded.right.token, "berlin") });
  await consoleReady;
  // Only now that both gateways listen: to an early IKE message the other's kernel would answer with an ICMP error, in the clear.
  await seedLink(seeded);
  const code = await prepareSetup();
  const secondsToReady = seconds();
  say("ready");
  const facts = await askField(fieldProcess, { kind: "until-up", timeoutSeconds: 30 });
  const secondsToLinkUp = seconds();
  say(`the link between Amsterdam and Berlin is up: ${facts.suite}, SPIs ${facts.spis.join(" and ")}`);
  if (!flags.once) {
    invite(env.CULVERT_CONSOLE_URL, code);
    return interrupted;
  }
  const measured = await askField(fieldProcess, { kind: "measure", echoes: 200, streamSeconds: 2 });
  const report: Report = { secondsToReady: round(secondsToReady), secondsToLinkUp: round(secondsToLinkUp), ...facts, ...measured };
  process.stdout.write(`${JSON.stringify(report, null, 2)}\n`);
  const wrong = complaints(report);
  for (const complaint of wrong) say(complaint);
  return wrong.length === 0 ? 0 : 1;
}

/** What of the demo's promises the report does not keep. */
function complaints(report: Report): string[] {
  return [
    ...(report.secondsToLinkUp > 20 ? [`the link was up after ${report.secondsToLinkUp} s; at most 20 s are promised`] : []),
    ...(report.packetsLost > 0 || report.packetsSent === 0 ? [`${report.packetsLost} of ${report.packetsSent} echoes were lost`] : []),
    ...(report.mbitPerSecond > 0 ? [] : ["the TCP stream moved nothing"]),
    ...(report.packetsNeitherIkeNorEsp > 0 ? [`${report.packetsNeitherIkeNorEsp} packets in the middle were neither IKE nor ESP`] : []),
    ...(report.packetsIkeOrEsp > 0 ? [] : ["the counter in the middle saw no packet at all"]),
  ];
}

function invite(url: string, code: string | null): void {
  process.stdout.write(
    `\n  Open        ${url}\n  Setup code  ${code ?? "(not needed)"}\n\n  Then Links → Amsterdam – Berlin → Send test traffic. Ctrl-C ends everything.\n\n`,
  );
}

async function startField(stage: Stage, prefix: readonly string[], fail: (sentence: string) => void): Promise<ChildProcess> {
  const argv = [...prefix, process.execPath, join(root, "scripts/demo/field.ts")];
  const child = stage.processes.start("the gateways", argv, { env: childEnvironment(), ipc: true, onLine: log("gateways"), onUnexpectedEnd: fail });
  stage.field = child;
  return new Promise((resolve, reject) => {
    child.once("message", (message: FieldReply) =>
      message.kind === "ready" ? resolve(child) : reject(new Error(message.kind === "failed" ? message.sentence : "unexpected answer")),
    );
    child.once("exit", (code) => reject(new Error(`the gateways' process ended with exit code ${code}`)));
  });
}

function childOptions(processes: Processes, env: Readonly<Record<string, string>>, fail: (sentence: string) => void): (name: string) => ChildOptions {
  return (name) => ({ processes, env, onLine: log(name), onUnexpectedEnd: fail });
}

const recent: string[] = [];

/** Lines of the parts are shown with --verbose, and the last of them when something failed. */
function log(name: string): (line: string) => void {
  return (line) => {
    if (flags.verbose) say(`${name}: ${line}`);
    recent.push(`${name}: ${line}`);
    if (recent.length > 60) recent.shift();
  };
}

async function close(stage: Stage, data: string): Promise<void> {
  stage.processes.seal();
  if (stage.field?.connected === true) await askField(stage.field, { kind: "stop" }).catch((error: Error) => say(`the gateways: ${error.message}`));
  await stage.processes.stop();
  // One that is still starting is waited for: it could not be stopped half-way.
  const database = await stage.database?.catch(() => null);
  await closeDatabase();
  await database?.stop();
  rmSync(stage.directory, { recursive: true, force: true });
  rmSync(data, { recursive: true, force: true });
}

/** One directory for each demo that runs, named by its process id and start time. */
function demosDirectory(): string {
  const path = join(dataDirectory(), "demo");
  mkdirSync(path, { recursive: true, mode: 0o711 });
  return path;
}

/** What demos that were killed left: programs, the database's server, directories. Namespaces go with the field, or at its next start. */
async function removeLeftovers(): Promise<void> {
  for (const name of readdirSync(demosDirectory()).filter(isOfTheDead)) {
    const data = join(demosDirectory(), name);
    const ended = await new Processes(join(data, "processes.json")).endLeftovers();
    if (ended.length > 0) say(`ended ${ended.join(", ")} of a demo that had been killed`);
    const server = postgresOf(data);
    if (server !== null) await endPostgres(server);
    rmSync(data, { recursive: true, force: true });
  }
  for (const name of readdirSync(tmpdir())) {
    const own = /^culvert-demo-(\d+-\d+)$/.exec(name)?.[1];
    if (own !== undefined && isOfTheDead(own)) rmSync(join(tmpdir(), name), { recursive: true, force: true });
  }
}

function isOfTheDead(name: string): boolean {
  const [pid, startTicks] = name.split("-");
  return startTicksOf(Number(pid)) !== startTicks;
}

/** The first line of postmaster.pid, when a process of that id still runs as Postgres. */
function postgresOf(data: string): number | null {
  try {
    const pid = Number(readFileSync(join(data, "postgres/data/postmaster.pid"), "utf8").split("\n")[0]);
    return readFileSync(`/proc/${pid}/cmdline`, "latin1").includes("postgres") ? pid : null;
  } catch (error) {
    if (error instanceof Error && "code" in error && (error.code === "ENOENT" || error.code === "ESRCH")) return null;
    throw error;
  }
}

/** SIGINT is Postgres's fast shutdown. */
async function endPostgres(pid: number): Promise<void> {
  process.kill(pid, "SIGINT");
  for (let waited = 0; waited < 100 && startTicksOf(pid) !== undefined; waited += 1) await new Promise((resolve) => setTimeout(resolve, 100));
}

function seconds(): number {
  return (performance.now() - started) / 1_000;
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}

try {
  process.exit(await main());
} catch (error) {
  for (const line of recent.slice(-25)) process.stderr.write(`  ${line}\n`);
  process.stderr.write(`demo: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(1);
}
