import fc from "fast-check";
import { fromPrefix } from "../ipsec/traffic-selector.ts";
import { EARLY_PACKET_MS } from "../dataplane/tun/early-packets.ts";
import { linkConfigs, Pair, type Side } from "./pair.ts";
import { settlementFaults } from "./settlement.ts";
import { TrafficModel } from "./traffic-model.ts";

/* Commands at both ends of a link at any time, over a line that loses, doubles and reorders. */

export const COMMANDS = ["rekey child", "rekey ike", "rekey all", "delete child", "reauthenticate", "restart", "down", "up"] as const;
export type Command = (typeof COMMANDS)[number];

interface Step {
  readonly side: "a" | "b";
  readonly command: Command;
  readonly pauseMs: number;
}

interface Line {
  readonly delayMs: number;
  readonly loss: number;
  readonly duplicate: number;
  readonly reorder: number;
  readonly reorderMs: number;
}

const aStep = (commands: readonly Command[]) =>
  fc.record<Step>({
    side: fc.constantFrom("a", "b"),
    command: fc.constantFrom(...commands),
    pauseMs: fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 100 }), fc.integer({ min: 100, max: 4_000 })),
  });

const share = fc.constantFrom(0, 0.05, 0.2);
const aLine = fc.record<Line>({
  delayMs: fc.constantFrom(1, 20, 200),
  loss: share,
  duplicate: share,
  reorder: share,
  reorderMs: fc.constantFrom(5, 50, 1_500),
});

export interface Situation {
  readonly seed: number;
  readonly starts: "a" | "b" | "both";
  readonly steps: readonly Step[];
  readonly line: Line;
  readonly firstPacketMs: number | null;
  /** Of rekeys: from the IKE SA's keys alone, with one of their own, or with an additional one (RFC 9370). */
  readonly keyExchange: "none" | "pfs" | "additional";
  readonly childCount: 1 | 2;
  /** Whether IKE_AUTH makes no Child SA (RFC 6023), so that all of them follow. */
  readonly childless: boolean;
}

export const aSituation = (commands: readonly Command[]) =>
  fc.record<Situation>({
    seed: fc.integer({ min: 1, max: 2 ** 30 }),
    starts: fc.constantFrom("a", "b", "both"),
    steps: fc.array(aStep(commands), { minLength: 1, maxLength: 8 }),
    line: aLine,
    firstPacketMs: fc.constantFrom(null, 0, 900),
    keyExchange: fc.constantFrom("none", "pfs", "additional"),
    childCount: fc.constantFrom(1, 2),
    childless: fc.boolean(),
  });

const PROPOSALS = {
  none: { espProposals: ["aes256gcm16"] },
  pfs: { espProposals: ["aes256gcm16-x25519"] },
  additional: { ikeProposals: ["aes256gcm16-prfsha384-x25519-ke1_mlkem512"], espProposals: ["aes256gcm16-x25519-ke1_mlkem512"] },
} as const;
const CHILDREN = ["net", "two"] as const;

/** What has gone wrong when all has come to rest (settlement.ts, traffic-model.ts). `pair`: from `layPair`, for who wants to look inside. */
export function playThrough(situation: Situation, pair = layPair(situation)): string[] {
  const traffic = new TrafficModel(pair, { firstPacketMs: situation.firstPacketMs, isSteady: false, keptMs: EARLY_PACKET_MS });
  pair.link.quality = situation.line;
  for (const step of situation.steps) {
    pair.run(step.pauseMs);
    obey(pair, pair[step.side], step.command);
  }
  // The line stays as bad as it is while what was begun goes on, then gets better as lines do.
  pair.run(30_000);
  pair.link.quality = { ...situation.line, loss: 0 };
  const faults = settlementFaults(pair, wantedEnd(pair));
  // Whoever gave the other up took its SAs for dead while the other still used them: that is what the line has lost.
  const givenUpAt = Math.min(...[pair.a, pair.b].flatMap(giveUps));
  return [...faults, ...traffic.losses.filter((loss) => Number.parseFloat(loss) < givenUpAt)];
}

/** When a request of the side's, sent again as often as it may be, was still unanswered. */
function giveUps(side: Side): number[] {
  return side.trace.filter((entry) => entry.exchange === "RETRANSMIT" && !entry.summary.startsWith("No answer yet")).map((entry) => entry.at);
}

export function layPair({ seed, starts, keyExchange, childCount, childless }: Situation): Pair {
  const pair = new Pair(seed);
  const initiate = (side: "a" | "b") => ({ initiate: starts === side || starts === "both" ? ("start" as const) : ("respond" as const) });
  const both = { livenessMs: 20_000, childless, ...PROPOSALS[keyExchange] };
  const children = (local: number, remote: number) =>
    CHILDREN.slice(0, childCount).map((name, index) => ({
      name,
      localSelectors: [fromPrefix(`10.${local}.${index}.0/24`)],
      remoteSelectors: [fromPrefix(`10.${remote}.${index}.0/24`)],
    }));
  const configs = linkConfigs({ both, a: { ...initiate("a"), children: children(1, 2) }, b: { ...initiate("b"), children: children(2, 1) } });
  pair.give(pair.b, { kind: "setLink", link: configs.b });
  pair.give(pair.a, { kind: "setLink", link: configs.a });
  if (!pair.runUntil(() => pair.bothUp(), 60_000)) throw new Error(`The pair of seed ${seed} does not come up.`);
  return pair;
}

function obey(pair: Pair, side: Side, command: Command): void {
  switch (command) {
    case "rekey child":
      return pair.give(side, { kind: "rekey", linkId: "link", what: "child" });
    case "rekey ike":
      return pair.give(side, { kind: "rekey", linkId: "link", what: "ike" });
    case "rekey all":
      return pair.give(side, { kind: "rekey", linkId: "link", what: "all" });
    case "delete child": {
      const child = side.link().ikeSas.flatMap((sa) => sa.children)[0];
      if (child !== undefined) pair.give(side, { kind: "expire", childSaId: child.id, spi: child.outboundSpi, hard: true });
      return;
    }
    default:
      return pair.give(side, { kind: command, linkId: "link" });
  }
}

/** With one end closed the other one stops trying, so that there is an end to wait for. */
function wantedEnd(pair: Pair): "up" | "none" {
  const links = [pair.a, pair.b].map((side) => side.engine.links.get("link")!);
  if (!links.some((link) => link.wanted === "down")) return "up";
  for (const link of links) if (link.wanted === "up") link.wanted = "respond";
  return "none";
}
