import { setTimeout as delay } from "node:timers/promises";
import type { Namespace, Site } from "./namespaces.ts";
import { pollUntil } from "./poll.ts";

/** A host that can be told to send an echo to another. */
export type EchoEnd = Pick<Site, "try" | "insideAddress">;

export interface PingResult {
  readonly sent: number;
  readonly received: number;
  readonly lost: number;
}

/**
 * Sends `count` echo requests at once from one site's inside address to the other's and says how many were answered.
 * One that is not answered within `waitSeconds` is lost.
 */
export async function ping(
  from: EchoEnd,
  to: EchoEnd,
  options: { count?: number; waitSeconds?: number; payloadBytes?: number; forbidFragments?: boolean } = {},
): Promise<PingResult> {
  const count = String(options.count ?? 5);
  const wait = String(options.waitSeconds ?? 1);
  // ping gives up two round trips or one interval after its last echo, -W or not: on a busy machine, only a long interval is a long wait.
  const argv = ["ping", "-n", "-q", "-I", from.insideAddress, "-c", count, "-l", count, "-i", wait, "-W", wait];
  if (options.payloadBytes !== undefined) argv.push("-s", String(options.payloadBytes));
  if (options.forbidFragments === true) argv.push("-M", "do");
  argv.push(to.insideAddress);
  const { stdout } = await from.try(argv, { timeoutMilliseconds: 20_000 });
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
  /** Waits for the answers to what was sent until now, at most five seconds, ends it, and returns the totals of those. */
  stop(): Promise<PingResult>;
}

/**
 * Sends an echo every `intervalSeconds` until stopped. From 10 ms on ping sleeps between echoes, and a kernel of 250 Hz makes about 17 ms
 * of 10; below that it is exact and keeps a processor busy.
 */
export async function startPing(from: Site, to: Pick<Site, "insideAddress">, intervalSeconds = 0.01): Promise<RunningPing> {
  const program = from.start(["ping", "-n", "-O", "-I", from.insideAddress, "-i", String(intervalSeconds), to.insideAddress]);
  const seen = new EchoLog();
  program.stdout?.on("data", (bytes: Buffer) => seen.read(bytes.toString("latin1")));
  program.stderr?.on("data", (bytes: Buffer) => seen.read(bytes.toString("latin1")));
  const ended = new Promise<void>((resolve) => program.once("close", () => resolve()));
  await pollUntil(
    "the first answer to a continuous ping",
    3_000,
    async () => (seen.answered.size > 0 ? true : undefined),
    () => seen.otherLines.join("\n"),
  );
  return {
    answered: () => seen.answered.size,
    async stop() {
      const sent = seen.highest;
      // A signal makes ping forget what is on its way, so it goes on sending until all that counts is answered or late.
      const deadline = performance.now() + 5_000;
      while (seen.answeredUpTo(sent) < sent && performance.now() < deadline) await delay(10);
      program.kill("SIGINT");
      await ended;
      const received = seen.answeredUpTo(sent);
      return { sent, received, lost: sent - received };
    },
  };
}

/** Reads what `ping -O` prints: a line for each answer, and one for each echo still without an answer when the next was sent. */
class EchoLog {
  readonly answered = new Set<number>();
  readonly otherLines: string[] = [];
  /** The number of the last echo known to have been sent; they count from 1. */
  highest = 0;
  private rest = "";

  read(text: string): void {
    const lines = (this.rest + text).split("\n");
    this.rest = lines.pop() ?? "";
    for (const line of lines) this.readLine(line);
  }

  answeredUpTo(number: number): number {
    let count = 0;
    for (const answered of this.answered) if (answered <= number) count += 1;
    return count;
  }

  private readLine(line: string): void {
    const match = /icmp_seq=(\d+)( ttl=)?/.exec(line);
    if (match === null) {
      this.otherLines.push(line);
      return;
    }
    const number = this.unwrapped(Number(match[1]));
    this.highest = Math.max(this.highest, number);
    if (match[2] !== undefined) this.answered.add(number);
  }

  /** The sequence number on the wire has 16 bits. */
  private unwrapped(sequence: number): number {
    const turns = Math.round((this.highest - sequence) / 65_536);
    return sequence + turns * 65_536;
  }
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

export interface StreamOptions {
  readonly seconds?: number;
  /** What each is held to; absent: as fast as it goes. */
  readonly megabitsPerSecond?: number;
  readonly streams?: number;
  /** tcp(7)'s TCP_CONGESTION; absent: the machine's. */
  readonly congestionControl?: string;
}

/**
 * One TCP stream of a second, or several together, from one site's inside address to the other's with iperf3.
 * @throws when it cannot connect or when iperf3 reports an error.
 */
export async function throughput(
  from: Site,
  to: Site,
  { seconds = 1, megabitsPerSecond, streams = 1, congestionControl }: StreamOptions = {},
): Promise<ThroughputResult> {
  const server = to.start(["iperf3", "-s", "-1", "-B", to.insideAddress], { stdio: "ignore" });
  const serverEnded = new Promise<void>((resolve) => server.once("close", () => resolve()));
  try {
    await listening(to, 5_201);
    const argv = ["iperf3", "-c", to.insideAddress, "-B", from.insideAddress, "-t", String(seconds), "-P", String(streams), "--json"];
    if (congestionControl !== undefined) argv.push("-C", congestionControl);
    // With a small window, what is made up for after a stall of the machine is no burst that overflows a socket on the way.
    if (megabitsPerSecond !== undefined) argv.push("-b", `${megabitsPerSecond}M`, "-w", "64K");
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
