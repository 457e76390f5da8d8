import { describe, expect, it } from "vitest";
import { linkConfigs, Pair, TEST_OPTIONS } from "../testing/pair.ts";

describe("a flood of IKE_SA_INIT from 20,000 addresses within a second", () => {
  it("is kept off with cookies, leaves no state but half-open SAs up to the threshold, is told of once, and an honest peer gets through", () => {
    const pair = new Pair();
    const { a, b } = linkConfigs();
    pair.give(pair.b, { kind: "setLink", link: { ...b, remoteAddresses: [] } });
    const [request] = pair.a.endpoint.handle({ kind: "setLink", link: a }, pair.clock.now()).filter((effect) => effect.kind === "transmit");
    let answers = 0;
    let traced = 0;
    let largest = 0;
    for (let i = 0; i < 20_000; i++) {
      const bytes = request!.bytes.slice();
      bytes.set([i >> 8, i & 255, 9, 9], 0);
      const remote = { address: `10.9.${i >> 8}.${i & 255}`, port: 500 };
      const effects = pair.b.endpoint.handle(
        { kind: "datagram", local: { address: pair.b.address, port: 500 }, remote, bytes },
        Math.floor(pair.clock.now() + i / 20),
      );
      const sent = effects.filter((effect) => effect.kind === "transmit");
      answers += sent.length;
      if (i >= TEST_OPTIONS.cookieThreshold) largest = Math.max(largest, ...sent.map((effect) => effect.bytes.length));
      if (i >= TEST_OPTIONS.cookieThreshold) traced += effects.filter((effect) => effect.kind === "trace").length;
    }
    // One answer each, smaller than the request: nobody is flooded through us.
    expect(answers).toBe(20_000);
    expect(largest).toBeLessThan(request!.bytes.length);
    expect(traced).toBeLessThanOrEqual(2);
    expect(pair.b.engine.ikeSas.size).toBe(TEST_OPTIONS.cookieThreshold);
    expect(pair.b.engine.halfOpen.size).toBe(TEST_OPTIONS.cookieThreshold);
    pair.run(1);
    pair.give(pair.a, { kind: "restart", linkId: "link" });
    expect(pair.runUntil(() => pair.bothUp(), 5_000)).toBe(true);
  });
});
