import { execFileSync } from "node:child_process";
import { LivePair } from "../agent/testing/live-gateways.ts";
import { runCommand } from "../e2e/lib/run-command.ts";
import { measurePackets, type PacketEnd } from "./path-measures.ts";

/** SAs of each direction, and policies, in each of two gateways, beside one that nothing is sent on. */
export const growthSizes = [1, 100, 10_000] as const;
type Size = (typeof growthSizes)[number];
/** Packets go to one destination, or to each of `growthNetworks` in turn, whatever the number of SAs that these share: only that number differs. */
export const spreads = ["one", "each"] as const;
type Spread = (typeof spreads)[number];
export const growthNetworks = 9_984;
/** The prefix of an SA's network, so that those of each size reach all destinations: 1, 78 and 9,984 of them have traffic. */
const prefixes: Readonly<Record<Size, number>> = { 1: 10, 100: 17, 10000: 24 };

/** Packets of 64 octets a second. */
export type GrowthFigures = Readonly<Record<Size, Readonly<Record<Spread, number | null>>>>;

/** Two data planes without IKE, which would have to make ten thousand links first. */
export async function measureGrowth(size: Size, seconds: number): Promise<readonly (readonly [Spread, number])[]> {
  const gateways = new LivePair("grow");
  gateways.makeNamespaces();
  try {
    await gateways.startBoth({ others: size, otherPrefix: prefixes[size] });
    const { left, right } = gateways;
    // Where they are counted the packets need no way on.
    execFileSync("ip", ["-n", left.namespace, "route", "replace", "10.64.0.0/10", "dev", "culvert0", "src", left.inside]);
    const [from, to] = [endIn(left.namespace), endIn(right.namespace)];
    const measure = (span: number, networks: number) => measurePackets(from, to, 64, span, "10.64.0", networks);
    // So that what is measured first is not what has yet to be compiled.
    await measure(1, growthNetworks);
    return [
      ["one", await measure(seconds, 1)],
      ["each", await measure(seconds, growthNetworks)],
    ];
  } finally {
    await gateways.endGateways();
    gateways.removeNamespaces();
  }
}

function endIn(namespace: string): PacketEnd {
  return { run: (argv, options) => runCommand(["ip", "netns", "exec", namespace, ...argv], options) };
}
