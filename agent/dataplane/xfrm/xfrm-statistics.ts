import { readFileSync } from "node:fs";
import { type DropCounters, noDrops } from "../data-plane.ts";

/** Counters of /proc/net/xfrm_stat (Linux Documentation/networking/xfrm_proc) by what we call them. */
const causes: Readonly<Partial<Record<keyof DropCounters, readonly string[]>>> = {
  noSa: ["XfrmInNoStates", "XfrmOutNoStates"],
  policy: ["XfrmInStateMismatch", "XfrmInTmplMismatch", "XfrmInNoPols", "XfrmInPolBlock", "XfrmOutPolBlock"],
  malformed: ["XfrmInError", "XfrmInBufferError", "XfrmInHdrError"],
  lifetime: ["XfrmInStateExpired", "XfrmOutStateExpired"],
  unsent: ["XfrmOutError", "XfrmOutBundleGenError", "XfrmFwdHdrError"],
};

/** Drops that no SA is charged with, of this network namespace and since it was made: they are counted for every program's SAs together. */
export function readStatistics(file = "/proc/net/xfrm_stat"): DropCounters {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch {
    // A kernel without CONFIG_XFRM_STATISTICS counts nothing.
    return noDrops;
  }
  const counted = new Map([...text.matchAll(/^(\w+)\s+(\d+)$/gm)].map(([, name, count]) => [name, Number(count)]));
  const totals = Object.entries(causes).map(([cause, names]) => [cause, names.reduce((sum, name) => sum + (counted.get(name) ?? 0), 0)]);
  return { ...noDrops, ...Object.fromEntries(totals) };
}

export function subtractDrops(a: DropCounters, b: DropCounters): DropCounters {
  const difference = Object.entries(a).map(([cause, count]) => [cause, count - (Object.entries(b).find(([other]) => other === cause)?.[1] ?? 0)]);
  return { ...noDrops, ...Object.fromEntries(difference) };
}
