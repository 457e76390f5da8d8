import { describe, expect } from "vitest";
import { type Bench, type ExchangeCase, rekey, testExchanges } from "../../testing/exchange-case.ts";
import type { Side } from "../../testing/pair.ts";

/*
 * One Child SA for every worker and one for each (RFC 9611): a, which begins the IKE SA, makes them.
 *   a: N(SA_RESOURCE_INFO(1)), SA, Ni, TSi, TSr  -->  b
 *   a  <--  N(SA_RESOURCE_INFO), SA, Nr, TSi, TSr   b
 */
const TWO = { both: { perResourceSas: 2 } } as const;

function children(side: Side) {
  return side.link().ikeSas[0]!.children;
}

/** The `which`-th of those there, oldest first, reaches its end in octets. */
function expire(bench: Bench, side: Side, which: number, hard: boolean): void {
  const child = children(side)[which]!;
  bench.pair.give(side, { kind: "expire", childSaId: child.id, spi: child.outboundSpi, hard });
}

function rekeyBoth(bench: Bench, what: "child" | "all"): void {
  for (const side of [bench.a, bench.b]) rekey(bench, side, what);
}

function workers(side: Side): (number | null)[] {
  return children(side).map((child) => child.worker);
}

const losses: ExchangeCase[] = (["a", "b"] as const).flatMap((who) =>
  [0, 1, 2].map((which) => ({
    name: `${who} deletes the ${["one for all", "first worker's", "second worker's"][which]}`,
    configs: TWO,
    play: (bench: Bench) => expire(bench, bench[who], which, true),
  })),
);

const both: ExchangeCase[] = [
  {
    name: "both delete the same one",
    configs: TWO,
    play: (bench) => {
      expire(bench, bench.a, 1, true);
      expire(bench, bench.b, 1, true);
    },
  },
  {
    name: "each deletes another one",
    configs: TWO,
    play: (bench) => {
      expire(bench, bench.a, 1, true);
      expire(bench, bench.b, 2, true);
    },
  },
  {
    name: "a deletes the one for all while b rekeys a worker's",
    configs: TWO,
    play: (bench) => {
      expire(bench, bench.a, 0, true);
      expire(bench, bench.b, 1, false);
    },
  },
  {
    name: "a deletes what b rekeys",
    configs: TWO,
    play: (bench) => {
      expire(bench, bench.a, 1, true);
      expire(bench, bench.b, 1, false);
    },
  },
  {
    name: "all of them are deleted at one end",
    configs: TWO,
    interrupts: true,
    play: (bench) => {
      for (const which of [0, 1, 2]) expire(bench, bench.a, which, true);
    },
  },
  {
    name: "all of them are deleted at both ends",
    configs: TWO,
    interrupts: true,
    play: (bench) => {
      for (const side of [bench.a, bench.b]) for (const which of [0, 1, 2]) expire(bench, side, which, true);
    },
  },
];

const rekeys: ExchangeCase[] = [
  ...(["a", "b"] as const).flatMap((who) =>
    [0, 1, 2].map((which) => ({
      name: `${who} rekeys the ${["one for all", "first worker's", "second worker's"][which]}`,
      configs: TWO,
      play: (bench: Bench) => expire(bench, bench[who], which, false),
      after: (bench: Bench) => {
        for (const side of [bench.a, bench.b]) expect(workers(side).toSorted()).toEqual([0, 1, 2]);
      },
    })),
  ),
  ...[0, 1, 2].map((which) => ({
    name: `both rekey the ${["one for all", "first worker's", "second worker's"][which]} at once`,
    configs: TWO,
    play: (bench: Bench) => {
      expire(bench, bench.a, which, false);
      expire(bench, bench.b, which, false);
      bench.courier.deliver(bench.a);
      bench.courier.deliver(bench.b);
    },
  })),
  { name: "both rekey all of them at once", configs: TWO, play: (bench) => rekeyBoth(bench, "child") },
  { name: "both rekey the IKE SA and all of them at once", configs: TWO, play: (bench) => rekeyBoth(bench, "all") },
  {
    name: "each rekeys another one, with a key exchange of its own",
    configs: { both: { perResourceSas: 2, espProposals: ["aes256gcm16-x25519"] } },
    play: (bench) => {
      expire(bench, bench.a, 1, false);
      expire(bench, bench.b, 2, false);
    },
  },
];

/** The SA that every worker of `side` may send on is there at the other end. */
function expectSent(bench: Bench, side: Side): void {
  const action = side.policies.get("link/net")?.action;
  const other = side === bench.a ? bench.b : bench.a;
  expect(other.inbound.has(action?.kind === "protect" ? action.spi : 0)).toBe(true);
}

/* What one end deletes the other is rekeying, and the answer that makes the successor does not arrive (RFC 7296 §2.25.1). */
const unanswered: ExchangeCase[] = [
  {
    name: "b deletes the one for all that a rekeys: it goes on with what a is known to have",
    configs: TWO,
    play: (bench) => {
      const { a, b, courier } = bench;
      expire(bench, b, 1, false);
      expire(bench, b, 0, true);
      expire(bench, a, 0, false);
      courier.deliver(a);
      courier.keep(b, 1);
      courier.deliver(b);
      courier.deliver(a);
      expect(b.trace.at(-1)?.summary).toContain("INFORMATIONAL request");
      expectSent(bench, b);
    },
  },
  {
    name: "a deletes all of them, of which b rekeys one: the next that both have is for all",
    configs: { both: { perResourceSas: 1 } },
    interrupts: true,
    play: (bench) => {
      const { a, b, courier } = bench;
      expire(bench, a, 1, true);
      expire(bench, a, 0, true);
      expire(bench, b, 0, false);
      courier.deliver(b);
      courier.keep(a, 1);
      for (let exchange = 0; exchange < 3; exchange++) {
        courier.deliver(a);
        courier.deliver(b);
      }
      expect(workers(a)).toEqual([null, 0]);
      expectSent(bench, a);
    },
  },
  {
    name: "a rekeys a worker's and deletes the one for all before the old one: what is for all stays so, and no worker is left with what is gone",
    configs: TWO,
    play: (bench) => {
      expire(bench, bench.a, 1, false);
      expire(bench, bench.a, 0, true);
    },
  },
];

const unequal: ExchangeCase[] = [
  ...(
    [
      [2, 1],
      [1, 2],
      [2, 0],
      [0, 2],
    ] as const
  ).map(
    ([ofA, ofB]): ExchangeCase => ({
      name: `a has ${ofA} workers and b ${ofB}: as many as the one with fewer has room for`,
      configs: { a: { perResourceSas: ofA }, b: { perResourceSas: ofB } },
      play: () => undefined,
      after: (bench) => {
        for (const side of [bench.a, bench.b]) {
          expect(children(side)).toHaveLength(1 + Math.min(ofA, ofB));
          expect(side.failures()).toEqual([]);
        }
      },
    }),
  ),
  {
    name: "b deletes one before its refusal of a third is there: it is made again",
    configs: { a: { perResourceSas: 2 }, b: { perResourceSas: 1 } },
    play: (bench) => {
      const { a, b, courier } = bench;
      // Authenticated anew, a does not know yet how many b takes.
      bench.pair.give(a, { kind: "reauthenticate", linkId: "link" });
      const refusal = () => b.trace.some((entry) => entry.summary.includes("and no more are taken") && entry.at > start);
      const start = bench.pair.clock.now();
      while (!refusal()) courier.deliver(courier.waiting(a).length > 0 ? a : b);
      const late = courier.keep(b, courier.waiting(b).length - 1);
      const sa = b.link().ikeSas.at(-1)!;
      const child = sa.children[1]!;
      bench.pair.give(b, { kind: "expire", childSaId: child.id, spi: child.outboundSpi, hard: true });
      courier.deliver(b, courier.waiting(b).length - 1);
      courier.hand(late);
    },
    after: (bench) => expect(children(bench.a)).toHaveLength(2),
  },
  {
    name: "b has room for fewer than before: the others go and do not come back",
    configs: TWO,
    play: (bench) => {
      const { config } = bench.b.engine.links.get("link")!;
      bench.pair.give(bench.b, { kind: "setLink", link: { ...config, perResourceSas: 1 } });
    },
    after: (bench) => expect(children(bench.a)).toHaveLength(2),
  },
  {
    name: "a has room for fewer than before",
    configs: TWO,
    play: (bench) => {
      const { config } = bench.a.engine.links.get("link")!;
      bench.pair.give(bench.a, { kind: "setLink", link: { ...config, perResourceSas: 0 } });
    },
    after: (bench) => expect(children(bench.b)).toHaveLength(1),
  },
];

describe("Child SAs of workers are lost and made again", () => testExchanges([...losses, ...both]));
describe("Child SAs of workers are rekeyed in their place", () => testExchanges(rekeys));
describe("Child SAs of workers are deleted while they are rekeyed", () => testExchanges(unanswered));
describe("two ends with other numbers of workers", () => testExchanges(unequal));
