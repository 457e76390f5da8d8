import { readFileSync } from "node:fs";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { type GatewayCounters, inNamespace, ip, type LiveGateway, LivePair, payloadOf, until } from "../../testing/live-gateways.ts";

const isRoot = process.getuid?.() === 0;
const asRoot = isRoot || process.env["CI"] === "true" ? test : test.skip;
const suites = ["aes128gcm16", "aes256gcm16", "chacha20poly1305", "aes256-sha256", "aes128ctr-sha256", "aes256ccm8", "aes192ccm12", "aes128ccm16"];
const fuzzCount = Number(process.env["FUZZ_COUNT"] ?? 100_000);
const fuzzSeed = Number(process.env["FUZZ_SEED"] ?? Date.now() % 2 ** 32);
const pair = new LivePair("p");
const { left, right } = pair;

const captured = async (during: () => Promise<unknown>) => (await pair.captured(during)).map((datagram) => payloadOf(datagram).toString("hex"));

function residentMegabytes(gateway: LiveGateway): number {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${gateway.process.pid}/status`, "utf8"))?.[1]) / 1_024;
}

/** Of IPv4 and of TCP with timestamps: what each further segment of a frame has again. */
const TCP_HEADERS = 20 + 32;

/** Segments that this namespace's kernel sent, whole frames counted by what they are cut into. OutSegs is without those sent again (RFC 4022). */
async function tcpSegmentsSent(namespace: string): Promise<number> {
  const { stdout } = await inNamespace(namespace, "cat", "/proc/net/snmp");
  const [names, values] = stdout.split("\n").filter((line) => line.startsWith("Tcp:"));
  const of = (name: string) => Number(values?.split(" ")[names?.split(" ").indexOf(name) ?? 0]);
  return of("OutSegs") + of("RetransSegs");
}

/** Frames and octets that the gateway read from its device. */
function deviceSent(namespace: string): { packets: number; bytes: number } {
  return JSON.parse(ip("-n", namespace, "-json", "-statistics", "link", "show", "culvert0"))[0].stats64.tx;
}

function allDrops({ inbound, global }: GatewayCounters): number {
  return [inbound.drops, global].flatMap((drops) => Object.values(drops)).reduce((sum, count) => sum + count, 0);
}

describe("two live gateways", () => {
  beforeAll(() => {
    if (isRoot) pair.makeNamespaces();
  });
  afterEach(() => pair.endGateways());
  afterAll(() => {
    if (isRoot) pair.removeNamespaces();
  });

  asRoot.each(suites)("carry echoes of every size under %s", async (suite) => {
    const [l, r] = await pair.startBoth({ suite });
    const sizes = [0, 1, 15, 16, 1_300];
    expect(await Promise.all(sizes.map((dataOctets) => pair.lostEchoes({ count: 3, dataOctets })))).toEqual(sizes.map(() => []));
    const [atLeft, atRight] = await Promise.all([l.counters(), r.counters()]);
    const octets = sizes.reduce((sum, size) => sum + 3 * (size + 28), 0);
    for (const counters of [atLeft.outbound, atLeft.inbound, atRight.outbound, atRight.inbound]) {
      expect(counters).toMatchObject({ packets: 3 * sizes.length, bytes: octets });
    }
  });

  asRoot("lose no echo of 250 while both rekey three times", async () => {
    const [l, r] = await pair.startBoth();
    const losses = pair.lostEchoes({ count: 250 });
    for (let times = 0; times < 3; times++) {
      await until("echoes under these SAs", async () => (await r.counters()).inbound.packets >= 5);
      await Promise.all([l.rekey(), r.rekey()]);
    }
    await until("echoes under the last ones", async () => (await r.counters()).inbound.packets > 0);
    expect(await losses).toEqual([]);
  });

  asRoot("drop and count what is replayed, and a wrong ICV, which does not move the window", async () => {
    const [l] = await pair.startBoth();
    const datagrams = await captured(() => pair.lostEchoes({ count: 5, oneByOne: true }));
    expect(datagrams).toHaveLength(5);
    const before = await l.counters();
    expect(before.inbound.packets).toBe(5);
    expect(await pair.fire(l, { datagrams })).toBe(5);
    const replayed = await l.counters();
    expect(replayed.inbound.drops.replay).toBe(5);
    // A sequence number far ahead with a wrong ICV: were it marked, all that follows would be too old.
    await pair.fire(l, { datagrams: datagrams.map((datagram) => `${datagram.slice(0, 8)}7fffffff${datagram.slice(16)}`) });
    const forged = await l.counters();
    expect(forged.inbound.drops).toMatchObject({ replay: 5, integrity: 5 });
    // Each volley ends with an echo.
    expect(forged.inbound.packets).toBe(5 + 2);
    expect(await pair.lostEchoes({ count: 5 })).toEqual([]);
    expect(l.events()).not.toContain("natMappingChanged");
  });

  asRoot(`withstand every truncation and ${fuzzCount} mutations, seed ${fuzzSeed}, with the tunnel in use`, { timeout: 120_000 }, async () => {
    const [l] = await pair.startBoth();
    const datagrams = await captured(async () => {
      await pair.lostEchoes({ count: 3, oneByOne: true });
      await pair.lostEchoes({ count: 3, oneByOne: true, dataOctets: 900 });
    });
    expect(datagrams).toHaveLength(6);
    const shot = { datagrams, seed: fuzzSeed };
    await pair.fire(l, { ...shot, truncations: true });
    await pair.fire(l, { ...shot, mutations: Math.min(10_000, fuzzCount) });
    const before = await l.counters();
    const memory = residentMegabytes(l);
    const losses = pair.lostEchoes({ count: 100, intervalMs: 20 });
    expect(await pair.fire(l, { ...shot, mutations: fuzzCount })).toBe(fuzzCount);
    expect(await losses).toEqual([]);
    const after = await l.counters();
    expect(allDrops(after) - allDrops(before)).toBeGreaterThan(fuzzCount * 0.9);
    expect(after.inbound.packets - before.inbound.packets).toBe(100 + 1);
    expect(residentMegabytes(l) - memory).toBeLessThan(48);
    expect(l.process.exitCode).toBeNull();
    expect(l.events()).not.toMatch(/failed|natMappingChanged/);
    expect(await pair.lostEchoes({ count: 5 })).toEqual([]);
  });

  asRoot("answer a packet that is too big with the largest that fits, and then take it", async () => {
    const [l] = await pair.startBoth();
    const tooBig = await inNamespace(left.namespace, "ping", "-n", "-c", "1", "-W", "1", "-M", "do", "-s", "1472", right.inside).catch(
      (error: { stdout: string }) => error,
    );
    expect(tooBig.stdout).toMatch(/mtu = 1438/);
    expect((await l.counters()).outbound.drops.tooBig).toBe(1);
    expect(await pair.lostEchoes({ count: 3, dataOctets: 1_438 - 28 })).toEqual([]);
  });

  asRoot("carry a TCP stream to the octet, in large frames both ways, and count each segment that the kernel sent", async () => {
    const gateways = await pair.startBoth();
    // Every segment has the same headers then.
    for (const { namespace } of [left, right]) await inNamespace(namespace, "bash", "-c", "echo 0 > /proc/sys/net/ipv4/tcp_sack");
    await pair.mirroredStream(8 << 20);
    const [l, r] = gateways;
    // Both ends of the stream have ended: their kernels send no more, and the last of it may still be on its way.
    await until("the last segment each way to be at the other gateway", async () => {
      const [atLeft, atRight] = [await l.counters(), await r.counters()];
      return atRight.inbound.packets === (await tcpSegmentsSent(left.namespace)) && atLeft.inbound.packets === (await tcpSegmentsSent(right.namespace));
    });
    const [atLeft, atRight] = await Promise.all(gateways.map((gateway) => gateway.counters()));
    const sent = [
      { site: left, outbound: atLeft?.outbound, inbound: atRight?.inbound },
      { site: right, outbound: atRight?.outbound, inbound: atLeft?.inbound },
    ];
    for (const { site, outbound, inbound } of sent) {
      const segments = await tcpSegmentsSent(site.namespace);
      const { packets: frames, bytes } = deviceSent(site.namespace);
      expect(frames).toBeLessThan(segments / 4);
      expect([outbound, inbound]).toMatchObject(Array(2).fill({ packets: segments, bytes: bytes + (segments - frames) * TCP_HEADERS }));
    }
  });

  asRoot("count what the device does not take while it is down, and go on when it is up again", async () => {
    const [, r] = await pair.startBoth();
    expect(await pair.lostEchoes({ count: 3 })).toEqual([]);
    ip("-n", right.namespace, "link", "set", "culvert0", "down");
    expect(await pair.lostEchoes({ count: 3 })).toEqual([1, 2, 3]);
    expect((await r.counters()).inbound).toMatchObject({ packets: 3, bytes: 3 * 84, drops: { unsent: 3 } });
    ip("-n", right.namespace, "link", "set", "culvert0", "up");
    ip("-n", right.namespace, "route", "replace", left.network, "dev", "culvert0", "src", right.inside);
    expect(await pair.lostEchoes({ count: 3 })).toEqual([]);
    expect((await r.counters()).inbound).toMatchObject({ packets: 6, bytes: 6 * 84, drops: { unsent: 3 } });
  });

  asRoot("make their device again when it is deleted under them, and go on under the same SAs", async () => {
    const [l] = await pair.startBoth();
    expect(await pair.lostEchoes({ count: 3 })).toEqual([]);
    ip("-n", left.namespace, "link", "del", "culvert0");
    await until("the device to be made again", () => l.events().includes('"kind":"deviceReplaced"'));
    ip("-n", left.namespace, "route", "replace", right.network, "dev", "culvert0", "src", left.inside);
    expect(await pair.lostEchoes({ count: 3 })).toEqual([]);
    expect(await l.counters()).toMatchObject({ inbound: { packets: 6 }, outbound: { packets: 6 } });
    expect(l.events()).not.toContain("failed");
  });
});
