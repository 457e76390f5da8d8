import { describe, expect, it } from "vitest";
import { fromPrefix } from "../ipsec/traffic-selector.ts";
import { establishedPair, linkConfigs, Pair, type Side } from "../testing/pair.ts";
import type { LinkConfig } from "./endpoint-types.ts";
import { establishedPhase } from "./ike-sa.ts";

/* The command `reauthenticate` where there is nothing to replace, and where something else is waited for. */

const handshakes = (side: Side) => side.events.filter((event) => event.kind === "ikeSaEstablished").length;
const command = (pair: Pair, kind: "up" | "down" | "restart" | "reauthenticate") => pair.give(pair.a, { kind, linkId: "link" });

function linked(own: Partial<LinkConfig>): Pair {
  const pair = new Pair(11);
  const configs = linkConfigs({ a: { ...own, livenessMs: 5_000 } });
  pair.give(pair.b, { kind: "setLink", link: configs.b });
  pair.give(pair.a, { kind: "setLink", link: configs.a });
  pair.run(1_000);
  return pair;
}

describe("reauthenticate", () => {
  it("of a link that is down does nothing, also not at the next `up`, which authenticates once", () => {
    const pair = establishedPair();
    command(pair, "down");
    pair.run(5_000);
    command(pair, "reauthenticate");
    pair.run(120_000);
    expect(pair.a.link().ikeSas).toEqual([]);
    const before = handshakes(pair.a);
    command(pair, "up");
    pair.run(120_000);
    expect([pair.bothUp(), handshakes(pair.a) - before]).toEqual([true, 1]);
  });

  it("that is followed by `down` or `restart` is forgotten", () => {
    for (const end of ["down", "restart"] as const) {
      const pair = establishedPair();
      pair.link.drops = () => true;
      command(pair, "reauthenticate");
      command(pair, end);
      pair.run(200);
      pair.link.drops = () => false;
      const before = handshakes(pair.a);
      if (end === "down") command(pair, "up");
      pair.run(200_000);
      expect([pair.bothUp(), handshakes(pair.a) - before]).toEqual([true, 1]);
    }
  });

  it("of a link whose peer is not there authenticates once when the peer is", () => {
    const pair = linked({ initiate: "start" });
    pair.link.drops = () => true;
    pair.run(200_000);
    expect(pair.a.link().ikeSas.every((sa) => sa.state === "connecting")).toBe(true);
    command(pair, "reauthenticate");
    pair.run(1_000);
    pair.link.drops = () => false;
    const before = handshakes(pair.a);
    pair.run(300_000);
    expect([pair.bothUp(), handshakes(pair.a) - before]).toEqual([true, 1]);
  });

  for (const waits of [{ initiate: "onDemand" }, { initiate: "respond", livenessAction: "trap" }] as const) {
    it(`of a link that waits for packets (${waits.initiate}) authenticates once, and the link waits again when the peer has gone`, () => {
      const pair = linked(waits);
      command(pair, "reauthenticate");
      pair.run(60_000);
      expect([pair.bothUp(), handshakes(pair.a)]).toEqual([true, 1]);
      pair.link.drops = () => true;
      pair.run(200_000);
      pair.link.drops = () => false;
      pair.run(200_000);
      expect([pair.a.link().ikeSas, handshakes(pair.a)]).toEqual([[], 1]);
    });
  }

  it("does not wait for the next time at which a Child SA that the peer refuses is asked for", () => {
    const networks = (local: number, remote: number, names: readonly string[]) =>
      names.map((name, index) => ({
        name,
        localSelectors: [fromPrefix(`10.${local}.${index}.0/24`)],
        remoteSelectors: [fromPrefix(`10.${remote}.${index}.0/24`)],
      }));
    const seconds = 1_000;
    const pair = establishedPairOf({
      both: { reauthenticateMs: 500 * seconds },
      a: { children: networks(1, 2, ["net", "two"]) },
      b: { children: networks(2, 1, ["net"]) },
    });
    pair.run(200 * seconds);
    expect(pair.a.link().state).toBe("degraded");
    command(pair, "reauthenticate");
    pair.run(1 * seconds);
    expect(handshakes(pair.a)).toBe(2);
    const due = [...pair.a.engine.ikeSas.values()].map((sa) => establishedPhase(sa)?.reauthenticateAt ?? Number.POSITIVE_INFINITY);
    pair.run(Math.min(...due) - pair.clock.now() + 1 * seconds);
    expect(handshakes(pair.a)).toBe(3);
    expect(pair.a.link().ikeSas.length).toBe(1);
  });
});

/** As soon as it has a Child SA. */
function establishedPairOf(overrides: Parameters<typeof linkConfigs>[0]): Pair {
  const pair = new Pair(11);
  const configs = linkConfigs(overrides);
  pair.give(pair.b, { kind: "setLink", link: configs.b });
  pair.give(pair.a, { kind: "setLink", link: configs.a });
  pair.run(1_000);
  expect(pair.a.inbound.size).toBe(1);
  return pair;
}
