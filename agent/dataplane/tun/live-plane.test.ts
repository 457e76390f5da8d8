import { type ChildProcess, execFile, execFileSync, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import type { DropCounters, SaCounters } from "../data-plane.ts";

/* Two gateways with fixed keys, each in a network namespace: 10.1.0.1 (l) 192.0.2.1 ── 192.0.2.2 (r) 10.2.0.1. The stranger is 192.0.2.77. */
const isRoot = process.getuid?.() === 0;
const asRoot = isRoot || process.env["CI"] === "true" ? test : test.skip;
const programs = (name: string) => fileURLToPath(new URL(`../../testing/${name}.ts`, import.meta.url));
const run = promisify(execFile);
const left = { side: "left", namespace: `cvdt-${process.pid}-l`, outside: "192.0.2.1", inside: "10.1.0.1", network: "10.1.0.0/24" } as const;
const right = { side: "right", namespace: `cvdt-${process.pid}-r`, outside: "192.0.2.2", inside: "10.2.0.1", network: "10.2.0.0/24" } as const;
const suites = ["aes128gcm16", "aes256gcm16", "chacha20poly1305", "aes256-sha256", "aes128ctr-sha256"];
const fuzzCount = Number(process.env["FUZZ_COUNT"] ?? 100_000);
const fuzzSeed = Number(process.env["FUZZ_SEED"] ?? Date.now() % 2 ** 32);
const directory = mkdtempSync(join(tmpdir(), "cvdt-live-"));

interface Counters {
  readonly inbound: SaCounters;
  readonly outbound: SaCounters;
  readonly global: DropCounters;
}

/** A static gateway: one line in, one line of JSON out. */
interface Gateway {
  readonly process: ChildProcess;
  readonly counters: () => Promise<Counters>;
  readonly rekey: () => Promise<unknown>;
  readonly events: () => string;
}
const started: Gateway[] = [];

const ip = (...args: string[]): string => execFileSync("ip", args, { encoding: "utf8" });
const within = (namespace: string, ...argv: string[]): Promise<{ stdout: string }> => run("ip", ["netns", "exec", namespace, ...argv], { maxBuffer: 1 << 24 });
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

async function start(me: typeof left | typeof right, suite: string): Promise<Gateway> {
  const peer = me === left ? right : left;
  const options = { local: me.outside, remote: peer.outside, localNetwork: me.network, remoteNetwork: peer.network, suite, side: me.side, mtu: 1_500 };
  const child = spawn("ip", ["netns", "exec", me.namespace, process.execPath, programs("static-gateway"), JSON.stringify(options)], {
    stdio: ["pipe", "pipe", "pipe"],
  });
  let events = "";
  child.stderr.on("data", (bytes: Buffer) => {
    events += bytes.toString();
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const ask = async (command: string) => {
    child.stdin.write(`${command}\n`);
    return JSON.parse(String((await lines.next()).value));
  };
  const gateway: Gateway = { process: child, counters: () => ask("counters"), rekey: () => ask("rekey"), events: () => events };
  started.push(gateway);
  expect((await lines.next()).value, events).toBe("ready");
  ip("-n", me.namespace, "route", "replace", peer.network, "dev", "culvert0", "src", me.inside);
  return gateway;
}

async function startBoth(suite = "aes128gcm16"): Promise<[Gateway, Gateway]> {
  return Promise.all([start(left, suite), start(right, suite)]);
}

/** ping waits for the last answers no longer than twice the slowest before: so it sends this many more, which do not count. */
const UNCOUNTED = 20;

/** Of `count` echoes from left to right, those that were not answered. */
async function lost(count: number, interval = "0.01", ...more: string[]): Promise<number> {
  const argv = ["ping", "-n", "-c", String(count + UNCOUNTED), "-i", interval, ...more, right.inside];
  const ping = await within(left.namespace, ...argv).catch((error: { stdout: string }) => error);
  const answered = new Set([...ping.stdout.matchAll(/icmp_seq=(\d+) ttl=/g)].map(([, sequence]) => Number(sequence)));
  return Array.from({ length: count }, (_, index) => index + 1).filter((sequence) => !answered.has(sequence)).length;
}

/** UDP payloads that arrive at the left gateway while `during` runs. */
async function captured(during: () => Promise<unknown>): Promise<string[]> {
  const file = join(directory, "capture.pcap");
  const dump = spawn(
    "ip",
    ["netns", "exec", left.namespace, "tcpdump", "-U", "--immediate-mode", "-Z", "root", "-i", "out0", "-w", file, "udp and dst host 192.0.2.1"],
    { stdio: ["ignore", "ignore", "pipe"] },
  );
  await new Promise((resolve) => dump.stderr.once("data", resolve));
  await during();
  await pause(300);
  dump.kill("SIGINT");
  await new Promise((resolve) => dump.once("close", resolve));
  const bytes = readFileSync(file);
  const datagrams: string[] = [];
  // pcap: 24 octets, then records of 16 octets and a frame: Ethernet, IPv4, UDP.
  for (let at = 24; at + 16 <= bytes.length; ) {
    const octets = bytes.readUInt32LE(at + 8);
    datagrams.push(bytes.subarray(at + 16 + 42, at + 16 + octets).toString("hex"));
    at += 16 + octets;
  }
  return datagrams;
}

async function fire(order: { datagrams: string[]; mutations?: number; truncations?: boolean }): Promise<number> {
  const cannon = spawn("ip", ["netns", "exec", right.namespace, process.execPath, programs("datagram-cannon")], { stdio: ["pipe", "pipe", "inherit"] });
  cannon.stdin.end(
    `${JSON.stringify({ sources: [right.outside, "192.0.2.77"], target: left.outside, mutations: 0, truncations: false, seed: fuzzSeed, ...order })}\n`,
  );
  let output = "";
  cannon.stdout.on("data", (bytes: Buffer) => {
    output += bytes.toString();
  });
  await new Promise((resolve) => cannon.once("close", resolve));
  await pause(100);
  return JSON.parse(output).count;
}

function residentMegabytes(gateway: Gateway): number {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${gateway.process.pid}/status`, "utf8"))?.[1]) / 1_024;
}

describe("two live gateways", () => {
  beforeAll(() => {
    if (!isRoot) return;
    for (const { namespace } of [left, right]) ip("netns", "add", namespace);
    ip("-n", left.namespace, "link", "add", "out0", "type", "veth", "peer", "name", "out0", "netns", right.namespace);
    for (const me of [left, right]) {
      ip("-n", me.namespace, "addr", "add", `${me.outside}/24`, "dev", "out0");
      ip("-n", me.namespace, "addr", "add", `${me.inside}/32`, "dev", "lo");
      for (const device of ["lo", "out0"]) ip("-n", me.namespace, "link", "set", device, "up");
    }
    ip("-n", right.namespace, "addr", "add", "192.0.2.77/24", "dev", "out0");
  });

  afterEach(async () => {
    for (const { process: child } of started.splice(0)) {
      child.stdin?.end();
      const timer = setTimeout(() => child.kill("SIGKILL"), 3_000);
      if (child.exitCode === null && child.signalCode === null) await new Promise((resolve) => child.once("close", resolve));
      clearTimeout(timer);
    }
  });

  afterAll(() => {
    if (isRoot) for (const { namespace } of [left, right]) ip("netns", "del", namespace);
    rmSync(directory, { recursive: true });
  });

  asRoot.each(suites)("carry echoes of every size under %s", async (suite) => {
    const [l, r] = await startBoth(suite);
    expect(await Promise.all(["0", "1", "15", "16", "1300"].map((size) => lost(3, "0.01", "-s", size)))).toEqual([0, 0, 0, 0, 0]);
    const [atLeft, atRight] = await Promise.all([l.counters(), r.counters()]);
    expect(atLeft.outbound.packets).toBe(5 * (3 + UNCOUNTED));
    expect([atRight.inbound.packets, atLeft.inbound.packets]).toEqual([atLeft.outbound.packets, atLeft.outbound.packets]);
    expect(atRight.inbound.bytes).toBe(atLeft.outbound.bytes);
  });

  asRoot("lose no echo of 150 while both rekey three times", async () => {
    const [l, r] = await startBoth();
    const losses = lost(150);
    for (let times = 0; times < 3; times++) {
      await pause(400);
      await Promise.all([l.rekey(), r.rekey()]);
    }
    expect(await losses).toBe(0);
    expect((await r.counters()).inbound.packets).toBeGreaterThan(0);
  });

  asRoot("drop and count what is replayed, and a wrong ICV, which does not move the window", async () => {
    const [l] = await startBoth();
    const datagrams = await captured(() => lost(5));
    expect(datagrams.length).toBeGreaterThanOrEqual(5);
    const before = await l.counters();
    await fire({ datagrams });
    const replayed = await l.counters();
    expect(replayed.inbound.drops.replay - before.inbound.drops.replay).toBe(datagrams.length);
    // A sequence number far ahead with a wrong ICV: were it marked, all that follows would be too old.
    await fire({ datagrams: datagrams.map((datagram) => `${datagram.slice(0, 8)}7fffffff${datagram.slice(16)}`) });
    const forged = await l.counters();
    expect(forged.inbound.drops.integrity - replayed.inbound.drops.integrity).toBe(datagrams.length);
    expect(forged.inbound.packets).toBe(before.inbound.packets);
    expect(await lost(5)).toBe(0);
    expect(l.events()).not.toContain("natMappingChanged");
  });

  asRoot(`withstand every truncation and ${fuzzCount} mutations, seed ${fuzzSeed}, with the tunnel in use`, async () => {
    const [l] = await startBoth();
    const datagrams = await captured(async () => [await lost(3), await lost(3, "0.01", "-s", "900")]);
    await fire({ datagrams, truncations: true });
    await fire({ datagrams, mutations: Math.min(10_000, fuzzCount) });
    const before = await l.counters();
    const memory = residentMegabytes(l);
    const losses = lost(100, "0.02");
    expect(await fire({ datagrams, mutations: fuzzCount })).toBe(fuzzCount);
    expect(await losses).toBe(0);
    const after = await l.counters();
    const dropped = (counters: Counters) =>
      [counters.inbound.drops, counters.global].flatMap((drops) => Object.values(drops)).reduce((sum, count) => sum + count, 0);
    expect(dropped(after) - dropped(before)).toBeGreaterThan(fuzzCount * 0.9);
    expect(after.inbound.packets - before.inbound.packets).toBe(100 + UNCOUNTED);
    expect(residentMegabytes(l) - memory).toBeLessThan(48);
    expect(l.process.exitCode).toBeNull();
    expect(l.events()).not.toMatch(/failed|natMappingChanged/);
    expect(await lost(5)).toBe(0);
  });

  asRoot("answer a packet that is too big with the largest that fits, and then take it", async () => {
    const [l] = await startBoth();
    const tooBig = await within(left.namespace, "ping", "-n", "-c", "1", "-W", "1", "-M", "do", "-s", "1472", right.inside).catch(
      (error: { stdout: string }) => error,
    );
    expect(tooBig.stdout).toMatch(/mtu = 1438/);
    expect((await l.counters()).outbound.drops.tooBig).toBe(1);
    expect(await lost(3, "0.01", "-M", "do", "-s", String(1_438 - 28))).toBe(0);
  });

  asRoot("carry a TCP stream to the octet, in large frames both ways", async () => {
    await startBoth();
    const digest = "const h=require('crypto').createHash('sha256')";
    const server = `const n=require('net');${digest};n.createServer((s)=>{s.on('data',(d)=>h.update(d));s.on('end',()=>{s.end(h.digest('hex'));process.exitCode=0;srv.close()})});`;
    const listen = server.replace("n.createServer", "const srv=n.createServer").replace(/;$/, `;srv.listen(7000,'${right.inside}',()=>console.log('up'));`);
    const sink = spawn("ip", ["netns", "exec", right.namespace, process.execPath, "-e", listen], { stdio: ["ignore", "pipe", "inherit"] });
    await new Promise((resolve) => sink.stdout.once("data", resolve));
    const client = `const n=require('net');${digest};const b=require('crypto').randomBytes(8<<20);h.update(b);const s=n.connect(7000,'${right.inside}',()=>s.end(b));let o='';s.on('data',(d)=>o+=d);s.on('end',()=>console.log(o===h.digest('hex')))`;
    const { stdout } = await run("ip", ["netns", "exec", left.namespace, process.execPath, "-e", client], { timeout: 10_000 }).finally(() =>
      sink.kill("SIGKILL"),
    );
    expect(stdout.trim()).toBe("true");
  });

  asRoot("say that they failed when the device is deleted under them, and still end", async () => {
    const [l] = await startBoth();
    ip("-n", left.namespace, "link", "del", "culvert0");
    await expect.poll(l.events, { timeout: 3_000 }).toMatch(/"kind":"failed","reason":"the outbound worker failed: the TUN device cannot be read/);
    l.process.stdin?.end();
    await new Promise((resolve) => l.process.once("close", resolve));
    expect(l.process.exitCode).toBe(0);
  });
});
