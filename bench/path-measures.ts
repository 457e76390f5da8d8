import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { z } from "zod";
import type { Site, ThreeNamespaces } from "../e2e/lib/namespaces.ts";
import { pingUntilAnswered, throughput } from "../e2e/lib/traffic.ts";
import { cpuSeconds } from "./process-usage.ts";

/* What is measured of a path between the two sites, whatever it is made of. */

const source = fileURLToPath(new URL("./udp-source.ts", import.meta.url));
const discardPort = 9;
const ipAndUdpOctets = 28;
const echoMilliseconds = 10;
const answerMilliseconds = 15_000;
/** Linux's and Debian's default. A machine may be set to BBR, which sends no faster than the rate that it has seen, and so leaves a path idle whose limit is a busy processor. */
const congestionControl = "cubic";

/** The processes that make up the path: what runs at both ends before anything is sent. */
export function processesOf(net: ThreeNamespaces): number[] {
  return [net.left, net.right].flatMap(({ name }) => execFileSync("ip", ["netns", "pids", name], { encoding: "utf8" }).split("\n").filter(Boolean).map(Number));
}

export interface TcpFigure {
  readonly megabitsPerSecond: number;
  /** Of both ends' processes, for each gigabit that arrived; null: there are none. */
  readonly cpuSecondsAGigabit: number | null;
}

export async function measureTcp(net: ThreeNamespaces, processes: readonly number[], streams: number, seconds: number): Promise<TcpFigure> {
  const before = cpuOf(processes);
  const { megabitsPerSecond, bytes } = await throughput(net.left, net.right, { seconds, streams, congestionControl });
  return { megabitsPerSecond, cpuSecondsAGigabit: processes.length === 0 ? null : (cpuOf(processes) - before) / ((bytes * 8) / 1e9) };
}

/** Where packets are sent from, and where they are counted. */
export interface PacketEnd {
  run(argv: readonly string[], options?: { readonly input?: string; readonly timeoutMilliseconds?: number }): Promise<string>;
}

/**
 * IP packets of this size a second that arrive while a sender sends as many as the kernel takes, to the first address of a network of 256, or of as many
 * networks in turn. The kernel counts them where they arrive: no program reads them.
 */
export async function measurePackets(from: PacketEnd, to: PacketEnd, octets: number, seconds: number, network: string, networks = 1): Promise<number> {
  await to.run(["nft", "-f", "-"], {
    input: `table inet bench {\n chain arrived {\n  type filter hook prerouting priority 0;\n  udp dport ${discardPort} counter drop\n }\n}\n`,
  });
  try {
    const argv = sender(octets, seconds, network, networks);
    const began = performance.now();
    await from.run(argv, { timeoutMilliseconds: (seconds + 10) * 1_000 });
    // At once: what is still on its way is not of these seconds.
    return (await arrived(to, octets)) / ((performance.now() - began) / 1_000);
  } finally {
    await to.run(["nft", "delete", "table", "inet", "bench"]);
  }
}

function sender(octets: number, seconds: number, network: string, networks: number): string[] {
  return [process.execPath, source, String(discardPort), String(octets - ipAndUdpOctets), String(seconds), network, String(networks)];
}

const sending = z.object({ seconds: z.number() });

/**
 * The same a second of sending, for a kernel without nftables on which a program takes seconds to start, and a path on which nothing waits. Nobody listens
 * to the port, which the kernel counts; it answers a few of the packets.
 */
export async function measureUnheardPackets(from: PacketEnd, to: PacketEnd, octets: number, seconds: number, network: string): Promise<number> {
  const before = await unheard(to);
  const said = await from.run(sender(octets, seconds, network, 1), { timeoutMilliseconds: (seconds + 30) * 1_000 });
  return ((await unheard(to)) - before) / sending.parse(JSON.parse(said)).seconds;
}

/** `NoPorts` of /proc/net/snmp: UDP datagrams to ports that nobody has. */
async function unheard(where: PacketEnd): Promise<number> {
  const [names = [], values = []] = (await where.run(["cat", "/proc/net/snmp"]))
    .split("\n")
    .filter((line) => line.startsWith("Udp:"))
    .map((line) => line.split(" "));
  const count = Number(values[names.indexOf("NoPorts")]);
  if (Number.isNaN(count)) throw new Error("the kernel does not count datagrams to ports that nobody has");
  return count;
}

const counters = z.object({ nftables: z.array(z.object({ rule: z.object({ expr: z.array(z.looseObject({})) }).optional() })) });
const counter = z.object({ counter: z.object({ packets: z.number(), bytes: z.number() }) });

/** Datagrams that came. A path may hand several to the kernel in one packet, which has their headers once and is counted once. */
async function arrived(where: PacketEnd, octets: number): Promise<number> {
  const { nftables } = counters.parse(JSON.parse(await where.run(["nft", "-j", "list", "table", "inet", "bench"])));
  for (const expression of nftables.flatMap(({ rule }) => rule?.expr ?? [])) {
    const found = counter.safeParse(expression);
    if (found.success) return (found.data.counter.bytes - found.data.counter.packets * ipAndUdpOctets) / (octets - ipAndUdpOctets);
  }
  throw new Error("nftables counts nothing");
}

export interface LatencyFigure {
  /** Milliseconds of a round trip. */
  readonly p50: number;
  readonly p99: number;
}

/** Echoes over an idle path, or beside one TCP stream that takes what it can get. */
export async function measureLatency(net: ThreeNamespaces, seconds: number, isLoaded: boolean): Promise<LatencyFigure> {
  // What was measured before may have left a long queue.
  await pingUntilAnswered(net.left, net.right, answerMilliseconds);
  const load = isLoaded ? throughput(net.left, net.right, { seconds: seconds + 1, congestionControl }) : null;
  const times = await echoes(net.left, net.right, seconds);
  await load;
  return { p50: at(times, 0.5), p99: at(times, 0.99) };
}

async function echoes(from: Site, to: Site, seconds: number): Promise<number[]> {
  const count = Math.ceil((seconds * 1_000) / (echoMilliseconds * 1.7));
  const argv = ["ping", "-n", "-I", from.insideAddress, "-i", String(echoMilliseconds / 1_000), "-c", String(count), "-W", "1", to.insideAddress];
  const { stdout } = await from.try(argv, { timeoutMilliseconds: (seconds + 15) * 1_000 });
  const times = [...stdout.matchAll(/ time=([\d.]+) ms/g)].map(([, milliseconds]) => Number(milliseconds));
  if (times.length < count / 2) throw new Error(`of ${count} echoes ${times.length} were answered`);
  return times.sort((a, b) => a - b);
}

function at(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.ceil(share * sorted.length) - 1)] ?? 0;
}

function cpuOf(processes: readonly number[]): number {
  return processes.reduce((sum, pid) => sum + cpuSeconds(pid), 0);
}
