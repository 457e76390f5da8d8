import type { ChildProcess } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { setTimeout as delay } from "node:timers/promises";
import { type Agent, startAgent } from "../e2e/lib/agent.ts";
import { makeThreeNamespaces, type Site, sweepLeftovers } from "../e2e/lib/namespaces.ts";
import { Context } from "../e2e/interop/scenario.ts";
import { processIn, residentKilobytes } from "./process-usage.ts";

/** What a gateway's memory and its collector did while traffic of all kinds passed and its Child SA was rekeyed again and again. */
export interface SoakFigures {
  readonly seconds: number;
  readonly rekeys: number;
  readonly samples: readonly SoakSample[];
}

export interface SoakSample {
  readonly atSeconds: number;
  readonly residentKilobytes: number;
  /** Both directions, since the beginning. */
  readonly packets: number;
  readonly main: ThreadSample;
  readonly inbound: ThreadSample;
  readonly outbound: ThreadSample;
}

/** Collections since the beginning, and the megabytes that the latest one left. */
export interface ThreadSample {
  readonly scavenges: number;
  readonly markCompacts: number;
  readonly heapMegabytes: number;
  /** What the latest full collection left: all that is in use, and no garbage. Null: there was none. */
  readonly usedMegabytes: number | null;
}

const gcWatch = fileURLToPath(new URL("../agent/testing/gc-watch.ts", import.meta.url));
const REKEY_MS = 10_000;
const SAMPLES = 40;
/** Bounded, so that the machine's other work goes on: the length of the run is what counts. */
const streams: readonly (readonly string[])[] = [
  ["-b", "20M", "-w", "128K"],
  ["-u", "-b", "4M", "-l", "100"],
  ["-u", "-b", "8M", "-l", "1400", "-R"],
];

/** Our gateway at both ends of a link; the left one is watched. */
export async function benchSoak(seconds: number, say: (line: string) => void): Promise<SoakFigures> {
  sweepLeftovers("cvk");
  const net = await makeThreeNamespaces("cvk");
  const directory = mkdtempSync(join(tmpdir(), "cvk-"));
  const programs: ChildProcess[] = [];
  const agents: Agent[] = [];
  try {
    const { left, right } = await bothUp(new Context(net, directory), agents);
    programs.push(...startTraffic(net.left, net.right, seconds));
    return await watch(left, right, processIn(net.left.name, "agent/main.ts"), seconds, say);
  } finally {
    for (const program of programs) program.kill("SIGKILL");
    await Promise.all(agents.map((agent) => agent.kill()));
    net.remove();
    rmSync(directory, { recursive: true });
  }
}

export function soakText({ seconds, rekeys, samples }: SoakFigures): string {
  const rows = samples.map(({ atSeconds, residentKilobytes: resident, packets, main, inbound, outbound }) => {
    const thread = ({ scavenges, markCompacts, heapMegabytes, usedMegabytes }: ThreadSample) =>
      `${heapMegabytes.toFixed(1)}${usedMegabytes === null ? "" : ` (${usedMegabytes.toFixed(1)})`} | ${scavenges} + ${markCompacts}`;
    return `| ${atSeconds} | ${(resident / 1_024).toFixed(1)} | ${packets.toLocaleString("en")} | ${thread(main)} | ${thread(inbound)} | ${thread(outbound)} |`;
  });
  return [
    `${seconds} s of TCP, small and large UDP and echoes through our gateway at both ends, ${rekeys} rekeys of the Child SA; of one end, in MB, in parentheses what the latest full collection left, with scavenges + full collections since the beginning:`,
    "",
    "| s | resident | packets | main heap | collections | inbound heap | collections | outbound heap | collections |",
    "|---|---|---|---|---|---|---|---|---|",
    ...rows,
  ].join("\n");
}

async function bothUp(context: Context, agents: Agent[]): Promise<{ left: Agent; right: Agent }> {
  const { net, directory } = context;
  const folder = (name: string) => {
    mkdirSync(join(directory, name));
    return join(directory, name);
  };
  const right = await startAgent(net.right, folder("right"), context.configurationAtRight());
  agents.push(right);
  const left = await startAgent(net.left, folder("left"), context.configuration(), { env: { NODE_OPTIONS: `--import=${gcWatch}` } });
  agents.push(left);
  await left.waitUntilUp("link");
  await right.waitUntilUp("link");
  return { left, right };
}

function startTraffic(left: Site, right: Site, seconds: number): ChildProcess[] {
  const quiet = { stdio: "ignore" } as const;
  const servers = streams.map((_, index) => right.start(["iperf3", "-s", "-B", right.insideAddress, "-p", String(5_301 + index)], quiet));
  // A client whose server does not listen yet ends; so each is begun again, and after a pause of the tunnel too.
  const clients = streams.map((options, index) => {
    const command = `while :; do iperf3 -c ${right.insideAddress} -B ${left.insideAddress} -p ${5_301 + index} -t ${seconds} ${options.join(" ")}; sleep 0.2; done`;
    return left.start(["bash", "-c", command], quiet);
  });
  const echoes = left.start(["ping", "-q", "-i", "0.02", "-s", "1400", "-I", left.insideAddress, right.insideAddress], quiet);
  return [...servers, ...clients, echoes];
}

async function watch(left: Agent, right: Agent, pid: number, seconds: number, say: (line: string) => void): Promise<SoakFigures> {
  const samples: SoakSample[] = [];
  const packets = new Map<string, number>();
  const began = performance.now();
  const every = (seconds * 1_000) / SAMPLES;
  let rekeys = 0;
  let nextSample = 0;
  for (let now = 0; now < seconds * 1_000; now = performance.now() - began) {
    await (rekeys % 2 === 0 ? left : right).rekey("link", "child");
    rekeys++;
    await delay(REKEY_MS / 2);
    for (const child of (await left.link("link")).ikeSas.flatMap((ike) => ike.childSas)) packets.set(child.inboundSpi, child.packetsIn + child.packetsOut);
    await delay(REKEY_MS / 2);
    for (const child of (await left.link("link")).ikeSas.flatMap((ike) => ike.childSas)) packets.set(child.inboundSpi, child.packetsIn + child.packetsOut);
    if (now < nextSample) continue;
    nextSample += every;
    const sum = [...packets.values()].reduce((total, count) => total + count, 0);
    const sample = { atSeconds: Math.round(now / 1_000), residentKilobytes: residentKilobytes(pid), packets: sum, ...collections(left.log()) };
    samples.push(sample);
    say(JSON.stringify(sample));
  }
  return { seconds, rekeys, samples };
}

/** From V8's lines: `[pid:isolate] 512 ms: Scavenge 5.2 (6.5) -> 4.9 (7.5) MB, …`, of which the first of each thread say which it is. */
function collections(log: string): Pick<SoakSample, "main" | "inbound" | "outbound"> {
  const isolates = new Map<string, ThreadSample & { introductions: number }>();
  for (const [, isolate = "", kind = "", left = "", rest = ""] of log.matchAll(
    /\[\d+:(0x[0-9a-f]+)[^\]]*\]\s+\d+ ms: (Scavenge|Mark-Compact)[^>]*-> ([\d.]+) \([^)]*\) MB(.*)/g,
  )) {
    const found = isolates.get(isolate) ?? { introductions: 0, scavenges: 0, markCompacts: 0, heapMegabytes: 0, usedMegabytes: null };
    const isIntroduction = rest.includes("testing");
    const isFull = kind === "Mark-Compact";
    isolates.set(isolate, {
      introductions: found.introductions + (isIntroduction ? 1 : 0),
      scavenges: found.scavenges + (isIntroduction || isFull ? 0 : 1),
      markCompacts: found.markCompacts + (isIntroduction || !isFull ? 0 : 1),
      heapMegabytes: Number(left),
      usedMegabytes: isFull ? Number(left) : found.usedMegabytes,
    });
  }
  const of = (introductions: number): ThreadSample => {
    const found = [...isolates.values()].find((isolate) => isolate.introductions === introductions);
    if (found === undefined) throw new Error(`no thread has introduced itself with ${introductions} collections`);
    const { scavenges, markCompacts, heapMegabytes, usedMegabytes } = found;
    return { scavenges, markCompacts, heapMegabytes, usedMegabytes };
  };
  return { main: of(1), inbound: of(2), outbound: of(3) };
}
