import { expect, it } from "vitest";
import { Courier } from "./courier.ts";
import { establishedPair, linkConfigs, type Pair, type Side } from "./pair.ts";
import { settlementFaults } from "./settlement.ts";
import { TrafficModel } from "./traffic-model.ts";

/** What a case acts on: an established link whose packets wait to be delivered by hand. */
export interface Bench {
  readonly pair: Pair;
  readonly a: Side;
  readonly b: Side;
  readonly courier: Courier;
  readonly traffic: TrafficModel;
}

export interface ExchangeCase {
  readonly name: string;
  /** Until here everything is by hand; afterwards the link delivers what waits and time runs until all has settled. */
  readonly play: (bench: Bench) => void;
  /** Looks at what has settled. */
  readonly after?: (bench: Bench) => void;
  readonly configs?: Parameters<typeof linkConfigs>[0];
  /** What stays: one IKE SA with its Child SAs unless said. */
  readonly leaves?: "up" | "none";
  /** The exchange takes the Child SA away for a time, so that there may be nothing to send on. */
  readonly interrupts?: boolean;
  /** One side does what no engine would, and what gets lost by that is not the other's fault. */
  readonly forges?: boolean;
}

/** Without traffic, with some at once, and with traffic that takes almost as long as the engine waits for it. */
const FIRST_PACKETS = [
  ["no traffic", null],
  ["instant traffic", 0],
  ["slow traffic", 900],
] as const;

/**
 * Declares a test for each case and each kind of traffic. After each both sides hold the same SAs, one Child SA for each child, and
 * nothing is left over (settlement.ts); no packet ever arrived at an SA that was not there (traffic-model.ts).
 */
export function testExchanges(cases: readonly ExchangeCase[]): void {
  for (const one of cases) {
    for (const [traffic, firstPacketMs] of FIRST_PACKETS) {
      it(`${one.name} (${traffic})`, () => {
        const bench = layBench(one, firstPacketMs);
        one.play(bench);
        bench.courier.leave();
        const faults = settlementFaults(bench.pair, one.leaves ?? "up");
        expect(faults, faults.join("; ")).toEqual([]);
        const losses = one.forges === true ? [] : bench.traffic.losses;
        expect(losses, losses.join("; ")).toEqual([]);
        one.after?.(bench);
      });
    }
  }
}

export function layBench(one: Pick<ExchangeCase, "configs" | "interrupts" | "leaves">, firstPacketMs: number | null): Bench {
  const pair = establishedPair(7, one.configs);
  pair.run(1_000);
  // Nobody is to begin anew what the case ends.
  if (one.leaves === "none") {
    const { a } = linkConfigs(one.configs);
    pair.give(pair.a, { kind: "setLink", link: { ...a, initiate: "respond" } });
  }
  const traffic = new TrafficModel(pair, { firstPacketMs, isSteady: one.interrupts !== true && one.leaves !== "none", keptMs: 0 });
  return { pair, a: pair.a, b: pair.b, courier: new Courier(pair), traffic };
}

export function rekey(bench: Bench, side: Side, what: "ike" | "child" | "all"): void {
  bench.pair.give(side, { kind: "rekey", linkId: "link", what });
}

/** Has the side close its Child SA: its hard lifetime is over. */
export function deleteChild(bench: Bench, side: Side): void {
  const child = side.link().ikeSas[0]!.children[0]!;
  bench.pair.give(side, { kind: "expire", childSaId: child.id, spi: child.outboundSpi, hard: true });
}

/** 32 octets that compare as the number does. */
export function nonce(rank: number): Uint8Array {
  return new Uint8Array(32).fill(rank);
}
