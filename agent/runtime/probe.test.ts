import { afterEach, expect } from "vitest";
import { Prober } from "./probe.ts";
import { decide } from "./test-privileges.ts";

const probers: Prober[] = [];
afterEach(() => {
  for (const prober of probers.splice(0)) prober.close();
});

function createProber(): Prober {
  const prober = new Prober(0x4711);
  probers.push(prober);
  return prober;
}

// Raw sockets need CAP_NET_RAW; the check runs as root.
const asRoot = decide();

asRoot("an echo over loopback comes back, in both families", async () => {
  const prober = createProber();
  expect(await prober.ping("127.0.0.1", "127.0.0.1")).toBeLessThan(1_000);
  expect(await prober.ping("::1", "::1", 0)).toBeLessThan(1_000);
});

asRoot("a series counts what was answered and its median and maximum", async () => {
  const result = await createProber().series("127.0.0.1", "127.0.0.2", { count: 50, intervalMilliseconds: 2, payloadBytes: 1_000 });
  expect(result).toMatchObject({ sent: 50, received: 50 });
  expect(result.roundTripMsMax).toBeGreaterThanOrEqual(result.roundTripMsMedian ?? Number.NaN);
});

asRoot("a source that is not ours and a mixed pair are refused with a reason", async () => {
  await expect(createProber().ping("203.0.113.77", "127.0.0.1")).rejects.toThrow(/no address of this machine/);
  await expect(createProber().ping("127.0.0.1", "::1")).rejects.toThrow(/same family/);
});
