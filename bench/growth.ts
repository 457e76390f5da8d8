import { execFileSync } from "node:child_process";
import { LivePair } from "../agent/testing/live-gateways.ts";
import { runCommand } from "../e2e/lib/run-command.ts";
import { measurePackets, type PacketEnd } from "./path-measures.ts";

/** SAs of each direction, and policies, in each of two gateways. */
export const growthSizes = [1, 100, 10_000] as const;
/** The packets go over one SA, or over each of them in turn: then nothing of an SA is in a processor's cache when its next packet comes. */
export const spreads = ["one", "each"] as const;
type Spread = (typeof spreads)[number];

/** Packets of 64 octets a second. */
export type GrowthFigures = Readonly<Record<(typeof growthSizes)[number], Readonly<Record<Spread, number | null>>>>;

/** Two data planes without IKE, which would have to make ten thousand links first. */
export async function measureGrowth(size: number, seconds: number): Promise<readonly (readonly [Spread, number])[]> {
  const gateways = new LivePair("grow");
  gateways.makeNamespaces();
  try {
    await gateways.startBoth({ others: size - 1 });
    const { left, right } = gateways;
    // Where they are counted the packets need no way on.
    execFileSync("ip", ["-n", left.namespace, "route", "replace", "10.64.0.0/10", "dev", "culvert0", "src", left.inside]);
    const [from, to] = [endIn(left.namespace), endIn(right.namespace)];
    // So that what is measured first is not what has yet to be compiled.
    await measurePackets(from, to, 64, 1, "10.2.0");
    const one = await measurePackets(from, to, 64, seconds, "10.2.0");
    const each = size === 1 ? one : await measurePackets(from, to, 64, seconds, "10.64.0", size - 1);
    return [
      ["one", one],
      ["each", each],
    ];
  } finally {
    await gateways.endGateways();
    gateways.removeNamespaces();
  }
}

function endIn(namespace: string): PacketEnd {
  return { run: (argv, options) => runCommand(["ip", "netns", "exec", namespace, ...argv], options) };
}
