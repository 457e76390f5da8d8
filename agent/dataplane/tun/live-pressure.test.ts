import { spawn } from "node:child_process";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { inNamespace, ip, LivePair, until } from "../../testing/live-gateways.ts";

const isRoot = process.getuid?.() === 0;
const asRoot = isRoot || process.env["CI"] === "true" ? test : test.skip;
const pair = new LivePair("f");
const { left, right } = pair;
const OCTETS = 60_000_000;

/** What the kernel has given to the device's reader, and what it dropped because the reader was slow. */
function deviceQueue(): { packets: number; dropped: number } {
  return JSON.parse(ip("-n", left.namespace, "-json", "-statistics", "link", "show", "culvert0"))[0].stats64.tx;
}

describe("a full socket", () => {
  beforeAll(() => {
    if (isRoot) pair.makeNamespaces();
  });
  afterEach(() => pair.endGateways());
  afterAll(() => {
    if (isRoot) pair.removeNamespaces();
  });

  asRoot(
    "is waited for: what was read from the device is at the peer, and what is too much is dropped by the kernel before it",
    { timeout: 60_000 },
    async () => {
      const [l, r] = await pair.startBoth();
      // 100 Mbit/s, and a queue that holds more than the socket's buffer: it is the socket that fills.
      await inNamespace(left.namespace, "tc", "qdisc", "add", "dev", "out0", "root", "tbf", "rate", "100mbit", "burst", "64kb", "limit", String(4 * OCTETS));
      const server = spawn("ip", ["netns", "exec", right.namespace, "iperf3", "-s", "-1", "-B", right.inside], { stdio: "ignore" });
      const ended = new Promise((resolve) => server.once("close", resolve));
      await until("iperf3 to listen", async () => (await inNamespace(right.namespace, "ss", "-Htln", "sport = :5201")).stdout.trim() !== "");
      const argv = ["iperf3", "-c", right.inside, "-B", left.inside, "-u", "-b", "400M", "-l", "1400", "-n", String(OCTETS)];
      await inNamespace(left.namespace, ...argv).finally(() => server.kill("SIGTERM"));
      await ended;
      await until("all that was sealed to be at the peer", async () => (await r.counters()).inbound.packets === (await l.counters()).outbound.packets);
      const [{ outbound }, { inbound, global }] = await Promise.all([l.counters(), r.counters()]);
      expect(deviceQueue().dropped).toBeGreaterThan(0);
      expect(outbound.packets).toBeGreaterThan(1_000);
      expect(outbound.drops.unsent).toBe(0);
      expect(inbound.drops).toMatchObject({ replay: 0, integrity: 0, unsent: 0 });
      expect(global.noSa).toBe(0);
    },
  );
});
