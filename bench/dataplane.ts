import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Context } from "../e2e/interop/scenario.ts";
import { makeNewerPeerRoot } from "../e2e/lib/newer-peer.ts";
import { makeThreeNamespaces, sweepLeftovers, type ThreeNamespaces } from "../e2e/lib/namespaces.ts";
import { pingUntilAnswered } from "../e2e/lib/traffic.ts";
import { CannotBeHad, type CipherName, type Contender, type ContenderName, contenders } from "./contenders.ts";
import { type GrowthFigures, growthSizes, measureGrowth, spreads } from "./growth.ts";
import { type MeasureName, measures, type Samples } from "./measures.ts";
import { median } from "./median.ts";
import { measureLatency, measurePackets, measureTcp, processesOf } from "./path-measures.ts";

export interface DataplaneFigures {
  readonly rounds: number;
  readonly secondsEach: number;
  /** With AES-128-GCM, WireGuard with its ChaCha20-Poly1305. Null: could not be had here. */
  readonly medians: Readonly<Record<ContenderName, Readonly<Record<MeasureName, number | null>>>>;
  /** One TCP stream, Mbit/s. */
  readonly ciphers: Readonly<Record<CipherName, Readonly<Partial<Record<ContenderName, number | null>>>>>;
  /** Packets of 64 octets a second by how many SAs and policies the gateways hold. */
  readonly growth: GrowthFigures;
  /** Every sample of every measure. */
  readonly all: Readonly<Record<string, readonly number[]>>;
  readonly missing: readonly string[];
}

const answerMilliseconds = 15_000;
const warmUpSeconds = 1;

/**
 * Every way between two sites, both ends and the internet between them on this machine, measured one after the other in every round and from another
 * one on each time, so that whatever else the machine does falls on all of them alike. `only`: the contenders that take part, and "growth" for what
 * many SAs cost; all of them unless told.
 */
export async function benchDataplane(
  rounds: number,
  seconds: number,
  say: (line: string) => void,
  only: readonly string[] = [...contenders.map(({ name }) => name), "growth"],
): Promise<DataplaneFigures> {
  const unknown = only.find((name) => name !== "growth" && !contenders.some((contender) => contender.name === name));
  if (unknown !== undefined) throw new Error(`There is no contender "${unknown}": there are ${contenders.map(({ name }) => name).join(", ")} and growth.`);
  sweepLeftovers("cvb");
  // Without it there is no wireguard-go and no newer library, which are then named as missing.
  await makeNewerPeerRoot(say).catch((error: Error) => say(`no newer Debian: ${error.message}`));
  const run = new Run(say);
  for (let round = 0; round < rounds; round++) {
    for (let turn = 0; turn < contenders.length; turn++) {
      const contender = contenders[(round + turn) % contenders.length]!;
      if (only.includes(contender.name)) await run.measure(contender, seconds, round);
    }
    for (const size of only.includes("growth") ? growthSizes : [])
      for (const [spread, rate] of await measureGrowth(size, seconds)) run.note(`growth ${size} ${spread}`, rate);
  }
  const of = (key: string) => median(run.samples.get(key) ?? []);
  return {
    rounds,
    secondsEach: seconds,
    medians: record(
      contenders.map(({ name }) => name),
      (name) => record(measures, (measure) => of(`${name} ${measure}`)),
    ),
    ciphers: record(["aes128gcm16", "aes256gcm16", "chacha20poly1305"] as const, (cipher) =>
      Object.fromEntries(
        contenders
          .filter(({ ciphers }) => ciphers.includes(cipher))
          .map(({ name, ciphers }) => [name, of(cipher === ciphers[0] ? `${name} tcp1` : `${name} ${cipher}`)]),
      ),
    ),
    growth: record(growthSizes, (size) => record(spreads, (spread) => of(`growth ${size} ${spread}`))),
    all: Object.fromEntries(run.samples),
    missing: [...run.missing.values()],
  };
}

/** What has been measured so far. */
class Run {
  readonly samples: Samples = new Map();
  readonly missing = new Map<string, string>();
  readonly #say: (line: string) => void;

  constructor(say: (line: string) => void) {
    this.#say = say;
  }

  /** All there is to a contender; one that fails is missing from then on, with the reason. Ours must not fail. */
  async measure(contender: Contender, seconds: number, round: number): Promise<void> {
    const { name, ciphers } = contender;
    if (this.missing.has(name)) return;
    try {
      await onPath(contender, ciphers[0]!, async (net) => {
        const processes = processesOf(net);
        for (const [measure, value] of await measureAll(net, processes, seconds)) this.#add(`${name} ${measure}`, value);
      });
      for (const cipher of ciphers.slice(1)) {
        await onPath(contender, cipher, async (net) => this.#add(`${name} ${cipher}`, (await measureTcp(net, [], 1, seconds)).megabitsPerSecond));
      }
      this.#say(
        `round ${round + 1}, ${name}: ${[...measures].map((measure) => `${measure} ${this.samples.get(`${name} ${measure}`)?.at(-1)?.toPrecision(4) ?? "-"}`).join(", ")}`,
      );
    } catch (error) {
      if (name.startsWith("culvert") && !(error instanceof CannotBeHad)) throw error;
      this.missing.set(name, `${name}: ${error instanceof Error ? (error.message.split("\n")[0] ?? "") : String(error)}`);
      this.#say(`missing: ${this.missing.get(name)}`);
    }
  }

  note(key: string, value: number): void {
    this.#add(key, value);
    this.#say(`${key}: ${value.toFixed(0)}`);
  }

  #add(key: string, value: number): void {
    this.samples.set(key, [...(this.samples.get(key) ?? []), value]);
  }
}

async function measureAll(net: ThreeNamespaces, processes: readonly number[], seconds: number): Promise<[MeasureName, number][]> {
  const one = await measureTcp(net, processes, 1, seconds);
  const four = await measureTcp(net, [], 4, seconds);
  const sixteen = await measureTcp(net, [], 16, seconds);
  // What one leaves on its way, seconds of it on some paths, must not be counted as the next.
  const emptied = () => pingUntilAnswered(net.left, net.right, answerMilliseconds);
  await emptied();
  const small = await measurePackets(net.left, net.right, 64, seconds, "10.2.0");
  await emptied();
  const large = await measurePackets(net.left, net.right, 1_400, seconds, "10.2.0");
  const idle = await measureLatency(net, seconds, false);
  const loaded = await measureLatency(net, seconds, true);
  return [
    ["tcp1", one.megabitsPerSecond],
    ["tcp4", four.megabitsPerSecond],
    ["tcp16", sixteen.megabitsPerSecond],
    ...(one.cpuSecondsAGigabit === null ? [] : ([["cpu", one.cpuSecondsAGigabit]] as [MeasureName, number][])),
    ["packets64", small],
    ["packets1400", large],
    ["idleP50", idle.p50],
    ["idleP99", idle.p99],
    ["loadedP50", loaded.p50],
    ["loadedP99", loaded.p99],
  ];
}

async function onPath(contender: Contender, cipher: CipherName, work: (net: ThreeNamespaces) => Promise<void>): Promise<void> {
  const net = await makeThreeNamespaces("cvb");
  const directory = mkdtempSync(join(tmpdir(), "cvb-"));
  const context = new Context(net, directory);
  try {
    await contender.start(context, cipher);
    await pingUntilAnswered(net.left, net.right, answerMilliseconds);
    // For everyone alike: what a path does in its first moments is not what it does.
    await measureTcp(net, [], 1, warmUpSeconds);
    await work(net);
  } finally {
    await context.close();
    net.remove();
    rmSync(directory, { recursive: true, force: true });
  }
}

function record<K extends string | number, V>(keys: readonly K[], value: (key: K) => V): Record<K, V> {
  return Object.fromEntries(keys.map((key) => [key, value(key)])) as Record<K, V>;
}
