import { describe, expect, it } from "vitest";
import { fromPrefix } from "../ipsec/traffic-selector.ts";
import { linkConfigs, Pair, type Side } from "../testing/pair.ts";
import type { LinkConfig } from "./endpoint-types.ts";

/*
 * A link's networks change at both ends, never at the same instant: between the two, and while a Child SA is being made, one end still
 * negotiates for the old ones.
 */
const home = fromPrefix("10.1.0.0/24");
const before = [fromPrefix("10.2.0.0/24")];
const after = [...before, fromPrefix("10.22.0.0/16")];
const suites: Partial<LinkConfig> = {
  ikeProposals: ["aes256gcm16-prfsha384-x25519-ke1_mlkem768"],
  // The additional key exchange keeps a Child SA in the making for two round trips.
  espProposals: ["aes256gcm16-x25519-ke1_mlkem768"],
};

function configs(networks: typeof before) {
  return linkConfigs({
    both: suites,
    a: { children: [{ name: "net", localSelectors: [home], remoteSelectors: networks }] },
    b: { initiate: "respond", children: [{ name: "net", localSelectors: networks, remoteSelectors: [home] }] },
  });
}

function established(): Pair {
  const pair = new Pair(7);
  const { a, b } = configs(before);
  pair.give(pair.b, { kind: "setLink", link: b });
  pair.give(pair.a, { kind: "setLink", link: a });
  expect(pair.runUntil(() => pair.bothUp())).toBe(true);
  pair.run(5_000);
  return pair;
}

/** The networks at b that the SA which a side sends on covers. */
function protectedNetworks(pair: Pair, side: Side): number {
  const action = side.policies.get("link/net")?.action;
  const sa = action?.kind === "protect" ? [...side.inbound.values()].find((one) => one.childSaId === side.outbound.get(action.spi)?.childSaId) : undefined;
  return sa === undefined ? 0 : (side === pair.a ? sa.remoteSelectors : sa.localSelectors).length;
}

describe("networks that change at both ends", () => {
  it.each(["a", "b"] as const)("are all protected within 3 s whichever end hears first and however much later the other does (%s first)", (first) => {
    for (const gapMs of [0, 1, 5, 10, 15, 20, 25, 30, 35, 40, 45, 50, 60, 70, 80, 100, 120, 150, 200, 400, 1_500]) {
      const pair = established();
      const { a, b } = configs(after);
      const links = { a, b };
      const second = first === "a" ? "b" : "a";
      pair.give(pair[first], { kind: "setLink", link: links[first] });
      pair.run(gapMs);
      pair.give(pair[second], { kind: "setLink", link: links[second] });
      const isDone = () => [pair.a, pair.b].every((side) => protectedNetworks(pair, side) === 2);
      expect([gapMs, pair.runUntil(isDone, 3_000)]).toEqual([gapMs, true]);
      pair.run(10_000);
      expect([gapMs, isDone(), pair.a.link().state, pair.b.link().state]).toEqual([gapMs, true, "up", "up"]);
      // The old Child SA and whatever was made in between are gone at both ends.
      expect([pair.a, pair.b].map((side) => [side.inbound.size, side.outbound.size])).toEqual([
        [1, 1],
        [1, 1],
      ]);
      expect([...pair.a.bookkeeping, ...pair.b.bookkeeping]).toEqual([]);
    }
  });

  it("leave a child alone whose configuration is written anew and says the same", () => {
    const pair = established();
    const spis = [...pair.a.inbound.keys()];
    pair.give(pair.a, { kind: "setLink", link: { ...configs(before).a, livenessMs: 5_000 } });
    pair.run(5_000);
    expect([...pair.a.inbound.keys()]).toEqual(spis);
  });
});
