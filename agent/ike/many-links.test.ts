import { Session } from "node:inspector/promises";
import { describe, expect, it } from "vitest";
import { configs, ManyLinks } from "../testing/many-links.ts";

describe("an input's cost does not depend on how many links and SAs there are", () => {
  it("with 2,000 links no input runs twice as many blocks of code as with 20", async () => {
    const few = await blocksWith(20);
    const many = await blocksWith(2_000);
    for (const [what, count] of Object.entries(few)) {
      expect(count, what).toBeGreaterThan(5);
      expect(many[what], what).toBeLessThan(2 * count);
    }
  }, 120_000);
});

/** How often any block of the engine's code runs for one input, its answers included, beside `links` links that are up. */
async function blocksWith(links: number): Promise<Record<string, number>> {
  const gateways = new ManyLinks();
  for (let i = 0; i < links; i++) gateways.add(i);
  const counts = {
    handshake: await blocksRun(() => gateways.add(links)),
    "a peer that is not known": await blocksRun(() => {
      gateways.a.handle({ kind: "timer" }, gateways.now);
      gateways.give("a", { kind: "setLink", link: configs(links + 1).a });
    }),
    "rekey of everything": await blocksRun(() => gateways.give("a", { kind: "rekey", linkId: "link-7", what: "all" })),
    "first packet on an SA": await blocksRun(() => gateways.give("b", { kind: "firstInboundPacket", childSaId: "child-4", spi: 0 as never })),
    "timer with nothing due": await blocksRun(() => gateways.give("b", { kind: "timer" })),
    "what is next": await blocksRun(() => {
      for (let i = 0; i < 10; i++) gateways.b.nextTimer();
    }),
    "link down": await blocksRun(() => gateways.give("b", { kind: "down", linkId: "link-5" })),
    "link removed": await blocksRun(() => gateways.give("b", { kind: "removeLink", linkId: "link-6" })),
  };
  const up = gateways.b.snapshot(0).filter((link) => link.state === "up");
  expect(up).toHaveLength(links - 1);
  return counts;
}

/** By V8's own count of executions, which has nothing to do with time. */
async function blocksRun(act: () => void): Promise<number> {
  const session = new Session();
  session.connect();
  await session.post("Profiler.enable");
  await session.post("Profiler.startPreciseCoverage", { callCount: true, detailed: true });
  await session.post("Profiler.takePreciseCoverage");
  act();
  const { result } = await session.post("Profiler.takePreciseCoverage");
  await session.post("Profiler.stopPreciseCoverage");
  session.disconnect();
  const engine = result.filter((script) => script.url.includes("/agent/") && !script.url.includes("/testing/") && !script.url.includes(".test."));
  return engine.flatMap((script) => script.functions.flatMap((one) => one.ranges)).reduce((sum, range) => sum + range.count, 0);
}
