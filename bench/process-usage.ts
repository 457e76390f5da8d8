import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";

/** The process id in a namespace whose command line holds this. @throws Error when it does not run. */
export function processIn(namespace: string, wanted: string): number {
  const pids = execFileSync("ip", ["netns", "pids", namespace], { encoding: "utf8" }).split("\n").filter(Boolean).map(Number);
  const found = pids.find((pid) => readFileSync(`/proc/${pid}/cmdline`, "utf8").includes(wanted));
  if (found === undefined) throw new Error(`${wanted} does not run in ${namespace}`);
  return found;
}

/** Of all its threads, from the scheduler's own nanoseconds: the ticks of /proc/PID/stat are too coarse for so little. */
export function cpuSeconds(pid: number): number {
  const threads = readdirSync(`/proc/${pid}/task`);
  return threads.reduce((sum, thread) => sum + Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, "utf8").split(" ")[0]) / 1e9, 0);
}

export function residentKilobytes(pid: number): number {
  return memoryUse(pid).resident;
}

/** Kilobytes. */
export interface MemoryUse {
  readonly resident: number;
  /** The most that was ever resident. */
  readonly most: number;
  /** Resident, with pages that other processes have too divided among them. */
  readonly shared: number;
}

export function memoryUse(pid: number): MemoryUse {
  const of = (file: string, name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+)`, "m").exec(readFileSync(`/proc/${pid}/${file}`, "utf8"))?.[1]);
  return { resident: of("status", "VmRSS"), most: of("status", "VmHWM"), shared: of("smaps_rollup", "Pss") };
}
