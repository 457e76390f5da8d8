import fc from "fast-check";
import { fromPrefix } from "../ipsec/traffic-selector.ts";
import { EARLY_PACKET_MS } from "../dataplane/tun/early-packets.ts";
import { linkConfigs, Pair, type Side } from "./pair.ts";
import { revocablePeers, SlowWord } from "./revocable-peers.ts";
import { searchLosses } from "./search-size.ts";
import { SETTLE_MS, settlementFaults } from "./settlement.ts";
import { TrafficModel } from "./traffic-model.ts";

/* Commands at both ends of a link at any time, over a line that loses, doubles and reorders. */

export const COMMANDS = ["rekey child", "rekey ike", "rekey all", "delete child", "reauthenticate", "restart", "down", "up", "packet"] as const;
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
  loss: fc.constantFrom(...searchLosses([0, 0.05, 0.2, 0.45])),
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
  /** Child SAs of the same selectors that each end has room for beside the first (RFC 9611). */
  readonly perResource: { readonly a: 0 | 1 | 2; readonly b: 0 | 1 | 2 };
  /** Whether IKE_AUTH makes no Child SA (RFC 6023), so that all of them follow. */
  readonly childless: boolean;
  /** Whoever starts the link does so when a packet wants through. */
  readonly onDemand: boolean;
  /** Both ends' certificates are asked about before each handshake, and the word comes after so long; null: pre-shared keys. */
  readonly wordAfterMs: number | null;
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
    perResource: fc.oneof(fc.constant({ a: 0, b: 0 } as const), fc.record({ a: fc.constantFrom(0, 1, 2), b: fc.constantFrom(0, 1, 2) })),
    childless: fc.boolean(),
    onDemand: fc.boolean(),
    wordAfterMs: fc.constantFrom(null, 10, 700, 5_000),
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
  const wish = wantedEnd(pair);
  if (wish === "up" && situation.onDemand) sendPackets(pair);
  return [...settlementFaults(pair, wish), ...traffic.losses];
}

export function layPair({ seed, starts, keyExchange, childCount, perResource, childless, onDemand, wordAfterMs }: Situation): Pair {
  const words = { a: new SlowWord(), b: new SlowWord() };
  const pair = wordAfterMs === null ? new Pair(seed) : new Pair(seed, { a: { revocation: words.a }, b: { revocation: words.b } });
  if (wordAfterMs !== null) for (const name of ["a", "b"] as const) words[name].answer(pair, pair[name], wordAfterMs);
  const initiate = (side: "a" | "b") => ({
    initiate: starts !== side && starts !== "both" ? ("respond" as const) : onDemand ? ("onDemand" as const) : ("start" as const),
    ...(perResource[side] === 0 ? {} : { perResourceSas: perResource[side] }),
    ...(wordAfterMs === null ? {} : { credentials: revocablePeers[side] }),
  });
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
  for (const side of [pair.a, pair.b]) wantThrough(pair, side);
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
    case "packet":
      return wantThrough(pair, side);
    default:
      return pair.give(side, { kind: command, linkId: "link" });
  }
}

/** What a data plane tells when packets come for which there is no SA. */
function wantThrough(pair: Pair, side: Side): void {
  for (const { id, action } of [...side.policies.values()]) if (action.kind === "discard") pair.give(side, { kind: "acquire", policyId: id });
}

/** Somebody inside goes on trying for as long as the pair may take to settle. */
function sendPackets(pair: Pair): void {
  for (let afterMs = 0; afterMs <= SETTLE_MS; afterMs += PACKET_MS)
    pair.schedule(pair.clock.now() + afterMs, () => {
      for (const side of [pair.a, pair.b]) wantThrough(pair, side);
    });
}

const PACKET_MS = 2_000;

/** With one end closed the other one stops trying, so that there is an end to wait for. */
function wantedEnd(pair: Pair): "up" | "none" {
  const links = [pair.a, pair.b].map((side) => side.engine.links.get("link")!);
  if (!links.some((link) => link.wanted === "down")) return "up";
  for (const link of links) if (link.wanted !== "down") Object.assign(link, { wanted: "respond", replaceWantedAt: null });
  return "none";
}
