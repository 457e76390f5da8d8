import type { Namespace, Site } from "./namespaces.ts";
import { pollUntil } from "./poll.ts";

export interface PingResult {
  readonly sent: number;
  readonly received: number;
  readonly lost: number;
}

/** Sends `count` echo requests from one site's inside address to the other's and says how many were answered. */
export async function ping(
  from: Site,
  to: Site,
  options: { count?: number; intervalSeconds?: number; payloadBytes?: number; forbidFragments?: boolean } = {},
): Promise<PingResult> {
  const count = options.count ?? 5;
  const interval = options.intervalSeconds ?? 0.02;
  const argv = ["ping", "-n", "-q", "-I", from.insideAddress, "-c", String(count), "-i", String(interval), "-W", "1"];
  if (options.payloadBytes !== undefined) argv.push("-s", String(options.payloadBytes));
  if (options.forbidFragments === true) argv.push("-M", "do");
  argv.push(to.insideAddress);
  const { stdout } = await from.try(argv, { timeoutMilliseconds: 10_000 + count * interval * 1_000 });
  return parsePing(stdout);
}

/** Waits until an echo through the tunnel is answered. */
export async function pingUntilAnswered(from: Site, to: Site, timeoutMilliseconds: number): Promise<void> {
  await pollUntil(`an echo from ${from.insideAddress} to ${to.insideAddress}`, timeoutMilliseconds, async () => {
    const { stdout } = await from.try(["ping", "-n", "-q", "-I", from.insideAddress, "-c", "1", "-W", "0.2", to.insideAddress]);
    return parsePing(stdout).received === 1 ? true : undefined;
  });
}

export interface RunningPing {
  /** How many echoes have been answered so far. */
  answered(): number;
  /** Ends it, waits for the last answer, and returns the totals. */
  stop(): Promise<PingResult>;
}

/**
 * Sends an echo every `intervalSeconds` until stopped. From 10 ms on ping sleeps between echoes, and a kernel of 250 Hz makes about 17 ms
 * of 10; below that it is exact and keeps a processor busy.
 */
export async function startPing(from: Site, to: Site, intervalSeconds = 0.01): Promise<RunningPing> {
  const process = from.start(["ping", "-n", "-O", "-I", from.insideAddress, "-i", String(intervalSeconds), to.insideAddress]);
  let output = "";
  process.stdout?.on("data", (bytes: Buffer) => {
    output += bytes.toString("latin1");
  });
  process.stderr?.on("data", (bytes: Buffer) => {
    output += bytes.toString("latin1");
  });
  const ended = new Promise<void>((resolve) => process.once("close", () => resolve()));
  await pollUntil(
    "the first answer to a continuous ping",
    3_000,
    async () => (/bytes from/.test(output) ? true : undefined),
    () => output,
  );
  return {
    answered: () => output.match(/bytes from/g)?.length ?? 0,
    async stop() {
      process.kill("SIGINT");
      await ended;
      return withoutLastInFlight(parsePing(output), output);
    },
  };
}

/** ping is stopped between an echo and its answer now and then: an unanswered one is forgiven only when it is the very last sent. */
function withoutLastInFlight(result: PingResult, output: string): PingResult {
  if (result.lost !== 1) return result;
  const lastAnswered = [...output.matchAll(/icmp_seq=(\d+) ttl/g)].at(-1)?.[1];
  const missing = /no answer yet for icmp_seq=/.test(output);
  if (missing || lastAnswered === undefined || Number(lastAnswered) % 65_536 !== (result.sent - 1) % 65_536) return result;
  return { sent: result.sent - 1, received: result.received, lost: 0 };
}

function parsePing(output: string): PingResult {
  const match = /(\d+) packets transmitted, (\d+) (?:packets )?received/.exec(output);
  if (match === null) throw new Error(`ping said nothing of what it sent: ${output.slice(-400)}`);
  const sent = Number(match[1]);
  const received = Number(match[2]);
  return { sent, received, lost: sent - received };
}

export interface ThroughputResult {
  readonly megabitsPerSecond: number;
  readonly bytes: number;
  readonly retransmits: number;
}

/**
 * One TCP stream from one site's inside address to the other's with iperf3.
 * @throws when it cannot connect or when iperf3 reports an error.
 */
export async function throughput(from: Site, to: Site, seconds = 1): Promise<ThroughputResult> {
  const server = to.start(["iperf3", "-s", "-1", "-B", to.insideAddress], { stdio: "ignore" });
  const serverEnded = new Promise<void>((resolve) => server.once("close", () => resolve()));
  try {
    await listening(to, 5_201);
    const argv = ["iperf3", "-c", to.insideAddress, "-B", from.insideAddress, "-t", String(seconds), "--json"];
    const { stdout } = await from.try(argv, { timeoutMilliseconds: (seconds + 10) * 1_000 });
    return parseIperf(stdout);
  } finally {
    server.kill("SIGTERM");
    await serverEnded;
  }
}

async function listening(where: Namespace, port: number): Promise<void> {
  await pollUntil("iperf3's server to listen", 3_000, async () => {
    const sockets = await where.run(["ss", "-Htln", `sport = :${port}`]);
    return sockets.trim() === "" ? undefined : true;
  });
}

function parseIperf(output: string): ThroughputResult {
  const report: unknown = JSON.parse(output);
  const error = field(report, "error");
  if (error !== undefined) throw new Error(`iperf3: ${String(error)}`);
  const received = field(field(report, "end"), "sum_received");
  const sent = field(field(report, "end"), "sum_sent");
  return {
    megabitsPerSecond: Number(field(received, "bits_per_second")) / 1e6,
    bytes: Number(field(received, "bytes")),
    retransmits: Number(field(sent, "retransmits") ?? 0),
  };
}

function field(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null ? Object.getOwnPropertyDescriptor(value, name)?.value : undefined;
}
