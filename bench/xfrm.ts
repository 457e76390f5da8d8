import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { z } from "zod";
import { missingForKernelHost, startLoneKernelHost, temporaryDirectory } from "../e2e/lib/kernel-host.ts";
import { median, medianInterval } from "./median.ts";
import { type KernelContenderName, kernelContenders, type KernelMeasureName, kernelMeasures, sampleKey } from "./xfrm-contenders.ts";

/** The kernel's ESP at both ends, told what to do by our gateway or by strongSwan's kernel-netlink, in a kernel that runs as a program. */
export interface XfrmFigures {
  readonly rounds: number;
  readonly secondsEach: number;
  /** Mbit/s and packets a second. Null: could not be had here. */
  readonly medians: Readonly<Record<KernelMeasureName, Readonly<Record<KernelContenderName, number | null>>>>;
  /** Of each round ours to strongSwan's, which were measured one right after the other. */
  readonly ratios: Readonly<Record<KernelMeasureName, Ratios | null>>;
  /** Every sample of every measure. */
  readonly all: Readonly<Record<string, readonly number[]>>;
  /** Why there are none. */
  readonly missing: string | null;
}

interface Ratios {
  readonly least: number;
  readonly median: number;
  readonly greatest: number;
  /** Of the median, 95 %; null: too few rounds. */
  readonly interval: readonly [number, number] | null;
}

const program = fileURLToPath(new URL("./xfrm-in-host.ts", import.meta.url));
const samples = z.record(z.string(), z.array(z.number()));
/** The kernel's start and the paths, and for each round six spans, whose programs take seconds to start there: some twice what a quiet machine needs. */
const longestMilliseconds = (rounds: number, seconds: number) => 180_000 + rounds * (30_000 + 6_000 * seconds);

export async function benchXfrm(rounds: number, seconds: number, say: (line: string) => void): Promise<XfrmFigures> {
  const absent = missingForKernelHost(existsSync);
  if (absent.length > 0) return figures(rounds, seconds, {}, `user-mode Linux is not installed: ${absent.join(", ")}`);
  const directory = mkdtempSync(join(tmpdir(), "cvx-"));
  say("starting a kernel with ESP in user-mode Linux");
  const host = await startLoneKernelHost(directory);
  try {
    const environment = [`TMPDIR=${temporaryDirectory}`, `NODE_COMPILE_CACHE=${temporaryDirectory}/compiled`];
    const argv = ["env", ...environment, process.execPath, program, String(rounds), String(seconds)];
    const printed = await host.run(argv, { timeoutMilliseconds: longestMilliseconds(rounds, seconds) });
    return figures(rounds, seconds, samples.parse(JSON.parse(printed)), null);
  } finally {
    await host.kill();
    rmSync(directory, { recursive: true, force: true });
  }
}

function figures(rounds: number, secondsEach: number, all: Readonly<Record<string, readonly number[]>>, missing: string | null): XfrmFigures {
  const of = (name: KernelContenderName, measure: KernelMeasureName) => all[sampleKey(name, measure)] ?? [];
  const ratiosOf = (measure: KernelMeasureName): Ratios | null => {
    const peers = of("strongswan-kernel-netlink", measure);
    const ratios = of("culvert", measure).map((ours, round) => ours / (peers[round] ?? Number.NaN));
    const middle = median(ratios);
    return middle === null ? null : { least: Math.min(...ratios), median: middle, greatest: Math.max(...ratios), interval: medianInterval(ratios) };
  };
  const measured = kernelMeasures.map(({ name }) => name);
  return {
    rounds,
    secondsEach,
    medians: record(measured, (measure) =>
      record(
        kernelContenders.map(({ name }) => name),
        (name) => median(of(name, measure)),
      ),
    ),
    ratios: record(measured, ratiosOf),
    all,
    missing,
  };
}

function record<K extends string, V>(keys: readonly K[], value: (key: K) => V): Record<K, V> {
  return Object.fromEntries(keys.map((key) => [key, value(key)])) as Record<K, V>;
}

export function xfrmText({ rounds, secondsEach, medians, ratios, missing }: XfrmFigures): string {
  if (missing !== null) return `The kernel's ESP: ${missing}.`;
  const cell = (value: number | null) => (value === null ? "–" : value.toLocaleString("en", { maximumFractionDigits: value < 100 ? 1 : 0 }));
  return [
    `The kernel's own ESP at both ends (XFRM, not in UDP), in user-mode Linux with one processor, ${rounds} interleaved rounds of ${secondsEach} s a figure, medians, ${new Date().toISOString().slice(0, 10)}. The packets' path is the kernel's in both; a ratio is of one round's two figures, and its spread is this kernel's:`,
    "",
    `| | ${kernelContenders.map(({ label }) => label).join(" | ")} | ratio, median | its 95 % interval | least to greatest |`,
    "|---|---|---|---|---|---|",
    ...kernelMeasures.map(({ name, label }) => {
      const ratio = ratios[name];
      const range = (least: number, greatest: number) => `${least.toFixed(2)} to ${greatest.toFixed(2)}`;
      const interval = ratio?.interval ?? null;
      const spread =
        ratio === null ? "– | – | –" : `${ratio.median.toFixed(2)} | ${interval === null ? "–" : range(...interval)} | ${range(ratio.least, ratio.greatest)}`;
      return `| ${label} | ${kernelContenders.map((contender) => cell(medians[name][contender.name])).join(" | ")} | ${spread} |`;
    }),
  ].join("\n");
}
