import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { exitOnSignals, removeAtExit } from "../lib/cleanup.ts";
import { makeCloudKernel } from "../lib/cloud-kernel.ts";
import { missingForGuestHost } from "../lib/guest-host.ts";
import { missingForKernelHost } from "../lib/kernel-host.ts";
import { makeNewerPeerRoot } from "../lib/newer-peer.ts";
import { makeThreeNamespaces, sweepLeftovers } from "../lib/namespaces.ts";
import { Context, type Scenario } from "./scenario.ts";

/** One scenario's result, as it stands in the JSON file. */
interface Result {
  readonly name: string;
  readonly description: string;
  readonly passed: boolean;
  readonly seconds: number;
  readonly notes: readonly string[];
  readonly failure?: string;
}

const longestScenarioSeconds = 100;

/**
 * `run.ts [names…] [--json FILE] [--jobs N]`: runs the named scenarios (a name may end in `*`), or all of them, against a real
 * strongSwan. Exit code 0: all passed; 1: one failed; 2: it could not be run.
 */
async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      json: { type: "string" },
      jobs: { type: "string", default: "2" },
      list: { type: "boolean", default: false },
      logs: { type: "boolean", default: false },
      // Both ends use the ESP of this machine's kernel.
      kernel: { type: "boolean", default: false },
    },
  });
  const scenarios = select(
    (await load()).filter(({ onlyKernelPlane }) => values.kernel || onlyKernelPlane !== true),
    positionals,
  );
  if (values.list) {
    for (const { name, description } of scenarios) process.stdout.write(`${name.padEnd(28)} ${description}\n`);
    return 0;
  }
  requirePrograms(scenarios);
  exitOnSignals();
  sweepLeftovers();
  if (scenarios.some((scenario) => scenario.needsNewPeer === true)) await makeNewerPeerRoot((line) => process.stdout.write(`${line}\n`));
  if (scenarios.some((scenario) => scenario.needsGuest === true)) await makeCloudKernel((line) => process.stdout.write(`${line}\n`));
  const started = performance.now();
  const results = await runAll(scenarios, Number(values.jobs), { showLogs: values.logs, esp: values.kernel ? "kernel" : "userspace" });
  if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify({ peer: "strongSwan 5.9.8 and 6.1", results }, null, 2)}\n`);
  const failed = results.filter((result) => !result.passed).length;
  process.stdout.write(`${Math.round((performance.now() - started) / 1_000)} s\n${results.length - failed} passed, ${failed} failed\n`);
  return failed === 0 ? 0 : 1;
}

/** Every folder beside this file that holds a scenario. */
async function load(): Promise<Scenario[]> {
  const folders = readdirSync(import.meta.dirname, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  const scenarios: Scenario[] = [];
  for (const { name } of folders) {
    const file = join(import.meta.dirname, name, "scenario.ts");
    if (!existsSync(file)) continue;
    const { scenario }: { scenario: Scenario } = await import(file);
    if (scenario.name !== name) throw new Error(`${name}/scenario.ts calls itself ${scenario.name}`);
    scenarios.push(scenario);
  }
  return scenarios;
}

function select(all: readonly Scenario[], names: readonly string[]): readonly Scenario[] {
  if (names.length === 0) return all;
  return names.flatMap((wanted) => {
    const found = all.filter(({ name }) => (wanted.endsWith("*") ? name.startsWith(wanted.slice(0, -1)) : name === wanted));
    if (found.length === 0) throw new Error(`no scenario is called ${wanted}; --list shows them all`);
    return found;
  });
}

function requirePrograms(scenarios: readonly Scenario[]): void {
  if (process.getuid?.() !== 0) throw new Error("the interop scenarios make network namespaces and TUN devices: run them as root");
  const missing = [
    "/usr/lib/ipsec/charon",
    "/usr/lib/ipsec/plugins/libstrongswan-gcm.so",
    "/usr/sbin/swanctl",
    "/usr/bin/iperf3",
    "/usr/bin/openssl",
    "/usr/bin/tcpdump",
    "/usr/sbin/nft",
  ].filter((path) => !existsSync(path));
  if (scenarios.some((scenario) => scenario.needsKernelPeer === true)) missing.push(...missingForKernelHost(existsSync));
  if (scenarios.some((scenario) => scenario.needsGuest === true)) missing.push(...missingForGuestHost(existsSync));
  if (missing.length > 0) {
    const packages =
      "strongswan-charon strongswan-swanctl libcharon-extra-plugins libstrongswan-extra-plugins libstrongswan-standard-plugins iperf3 openssl tcpdump nftables iputils-ping iproute2 user-mode-linux kmod qemu-system-x86";
    throw new Error(`missing: ${missing.join(", ")}; on Debian: apt-get install ${packages}`);
  }
}

const waitsForLostPeer = ({ name }: Scenario): boolean => name.startsWith("dpd") || name === "peer-silent";
const keepsProcessorBusy = ({ name }: Scenario): boolean => name.startsWith("xfrm");

/**
 * Runs `jobs` scenarios at a time. The first job takes those that have a kernel run as a program, one after the other: two of them at once would each be so slow that what is to be done within
 * seconds is not. The others begin with those that wait long for a lost peer.
 */
async function runAll(scenarios: readonly Scenario[], jobs: number, how: How): Promise<Result[]> {
  const busy = scenarios.filter(keepsProcessorBusy);
  const others = scenarios.filter((scenario) => !keepsProcessorBusy(scenario));
  const waiting = [...others.filter(waitsForLostPeer), ...others.filter((scenario) => !waitsForLostPeer(scenario))];
  const results: Result[] = [];
  const worker = async (next: () => Scenario | undefined) => {
    for (let scenario = next(); scenario !== undefined; scenario = next()) {
      const result = await runOne(scenario, how);
      results.push(result);
      report(result);
    }
  };
  const workers = Array.from({ length: Math.max(1, jobs) }, (_, job) => worker(job === 0 ? () => busy.shift() ?? waiting.shift() : () => waiting.shift()));
  await Promise.all(workers);
  return results.toSorted((a, b) => a.name.localeCompare(b.name));
}

interface How {
  readonly showLogs: boolean;
  readonly esp: "userspace" | "kernel";
}

async function runOne(scenario: Scenario, { showLogs, esp }: How): Promise<Result> {
  const started = performance.now();
  const directory = mkdtempSync(join(tmpdir(), "cvi-"));
  const removeDirectory = removeAtExit(directory, () => rmSync(directory, { recursive: true, force: true }));
  const net = await makeThreeNamespaces();
  const context = new Context(net, directory, esp);
  let failure: string | undefined;
  try {
    await inTime(scenario.run(context), scenario.longestSeconds ?? longestScenarioSeconds);
  } catch (error) {
    failure = error instanceof Error ? (error.stack ?? error.message) : String(error);
  }
  if (failure !== undefined) failure += logTails(context, 40);
  if (showLogs) process.stdout.write(`${logTails(context, 1_000)}\n`);
  await context.close();
  net.remove();
  removeDirectory();
  const seconds = Math.round((performance.now() - started) / 100) / 10;
  const { name, description } = scenario;
  return { name, description, passed: failure === undefined, seconds, notes: context.notes, ...(failure === undefined ? {} : { failure }) };
}

async function inTime(work: Promise<void>, seconds: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not done after ${seconds} s`)), seconds * 1_000);
  });
  try {
    await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

function logTails(context: Context, lines: number): string {
  const tail = (text: string) =>
    text
      .trimEnd()
      .split("\n")
      .slice(-lines)
      .map((line) => `    ${line.slice(0, 400)}`)
      .join("\n");
  const { us, peer } = context.logs();
  return `\n  our log:\n${tail(us)}\n  charon's log:\n${tail(peer)}`;
}

function report({ name, description, passed, seconds, notes, failure }: Result): void {
  const tail = notes.length > 0 ? ` (${notes.join("; ")})` : "";
  process.stdout.write(`${passed ? "ok  " : "FAIL"} ${name.padEnd(28)} ${seconds.toFixed(1).padStart(5)} s  ${description}${tail}\n`);
  if (failure !== undefined) process.stdout.write(`${failure.replaceAll(/^/gm, "  ")}\n`);
}

try {
  process.exitCode = await main();
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 2;
}
