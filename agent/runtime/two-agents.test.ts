import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect } from "vitest";
import type { Command } from "../../contract/hub-protocol.ts";
import { type ObservedLink, observedState } from "../../contract/observed-state.ts";
import { askAgent } from "./control-client.ts";
import { decide } from "./test-privileges.ts";

/*
 * Two real gateways, each a process in a network namespace of its own, and a third namespace between them:
 *   10.1.0.1 (inside) a 192.0.2.1 ── 192.0.2.254 m 198.51.100.254 ── 198.51.100.1 b 10.2.0.1 (inside)
 */
const asRoot = decide();
const base = `cvrt-${process.pid}`;
const program = fileURLToPath(new URL("../main.ts", import.meta.url));
const secret = "two-agents-secret";

interface Side {
  readonly name: "a" | "b";
  readonly namespace: string;
  readonly outside: string;
  readonly inside: string;
  readonly network: string;
}
const sides: { readonly a: Side; readonly b: Side } = {
  a: { name: "a", namespace: `${base}-a`, outside: "192.0.2.1", inside: "10.1.0.1", network: "10.1.0.0/24" },
  b: { name: "b", namespace: `${base}-b`, outside: "198.51.100.1", inside: "10.2.0.1", network: "10.2.0.0/24" },
};
const middle = `${base}-m`;

let directory: string;
const processes: ChildProcess[] = [];

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "cvrt-two-"));
  for (const name of [sides.a.namespace, middle, sides.b.namespace]) ip("netns", "add", name);
  for (const [side, gateway] of [
    [sides.a, "192.0.2.254"],
    [sides.b, "198.51.100.254"],
  ] as const) {
    ip("-n", middle, "link", "add", `to-${side.name}`, "type", "veth", "peer", "name", "out0", "netns", side.namespace);
    ip("-n", middle, "addr", "add", `${gateway}/24`, "dev", `to-${side.name}`);
    ip("-n", middle, "link", "set", `to-${side.name}`, "up");
    ip("-n", side.namespace, "addr", "add", `${side.outside}/24`, "dev", "out0");
    ip("-n", side.namespace, "link", "set", "out0", "up");
    ip("-n", side.namespace, "link", "set", "lo", "up");
    ip("-n", side.namespace, "addr", "add", `${side.inside}/24`, "dev", "lo");
    ip("-n", side.namespace, "route", "add", "default", "via", gateway);
  }
  inside(middle, "sysctl", "-qw", "net.ipv4.ip_forward=1");
}, 30_000);

afterAll(() => {
  for (const process of processes) process.kill("SIGKILL");
  for (const name of [sides.a.namespace, middle, sides.b.namespace]) ip("netns", "del", name);
  rmSync(directory, { recursive: true });
});

function ip(...args: string[]): string {
  return execFileSync("ip", args, { encoding: "utf8" });
}

function inside(namespace: string, ...argv: string[]): string {
  return execFileSync("ip", ["netns", "exec", namespace, ...argv], { encoding: "utf8" });
}

const socketOf = (side: Side): string => join(directory, `${side.name}.sock`);

const oneKey = { keys: `[{ id: k1, secret: ${secret} }]`, use: "k1" };
const bothKeys = `[{ id: k1, secret: ${secret} }, { id: k2, secret: another-${secret} }]`;

function writeConfig(side: Side, auth: { readonly keys: string; readonly use: string } = oneKey, workers = 1): string {
  const peer = side.name === "a" ? sides.b : sides.a;
  const path = join(directory, `${side.name}.yaml`);
  const text = `
schema: 1
revision: 1
gateway: { name: site-${side.name}, dataPlane: tun, outboundWorkers: ${workers}, inboundWorkers: ${workers} }
links:
  - id: link
    name: Two agents
    initiate: ${side.name === "a" ? "start" : "respond"}
    local: { identity: ${side.name}.example }
    remote: { address: ${peer.outside}, identity: ${peer.name}.example }
    authentication: { method: psk, keys: ${auth.keys}, use: ${auth.use} }
    ike: { proposals: [aes256gcm16-prfsha384-x25519], livenessSeconds: 2 }
    esp: { proposals: [aes256gcm16-x25519] }
    children: [{ name: lan, localNetworks: [${side.network}], remoteNetworks: [${peer.network}] }]
    probe: { source: ${side.inside}, target: ${peer.inside} }
    probeSeconds: 0.5
`;
  writeFileSync(path, text, { mode: 0o600 });
  return path;
}

interface Started {
  readonly process: ChildProcess;
  readonly output: () => string;
}

function start(side: Side): Started {
  const config = join(directory, `${side.name}.yaml`);
  if (!existsSync(config)) writeConfig(side);
  const process_ = spawn("ip", ["netns", "exec", side.namespace, process.execPath, program, "run", "--config", config, "--socket", socketOf(side)], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  processes.push(process_);
  let output = "";
  for (const stream of [process_.stdout, process_.stderr])
    stream?.on("data", (bytes: Buffer) => {
      output += bytes.toString();
    });
  return { process: process_, output: () => output };
}

async function link(side: Side): Promise<ObservedLink | null> {
  try {
    return observedState.parse((await askAgent(socketOf(side), { kind: "status" })).value).links[0] ?? null;
  } catch {
    return null; // Not started yet: the caller polls.
  }
}

async function waitUntilUp(side: Side, started: Started, timeout = 20_000): Promise<ObservedLink> {
  await expect.poll(async () => (await link(side))?.state, { timeout, interval: 50, message: started.output() }).toBe("up");
  const found = await link(side);
  if (found === null) throw new Error("no link");
  return found;
}

const childSpis = (found: ObservedLink): string[] =>
  found.ikeSas.flatMap((sa) => sa.childSas.filter((child) => child.state === "established").map((child) => child.inboundSpi));

/**
 * Pings until `during` is done and 40 echoes more; what was sent until then, and how much of that was answered. A signal makes ping forget what is on its
 * way, so it goes on until all that counts is answered or a second late.
 */
async function pingDuring(from: Side, to: string, during: () => Promise<void>): Promise<{ sent: number; received: number }> {
  const ping = spawn("ip", ["netns", "exec", from.namespace, "ping", "-n", "-O", "-i", "0.01", to], { stdio: ["ignore", "pipe", "ignore"] });
  let output = "";
  ping.stdout.on("data", (bytes: Buffer) => {
    output += bytes.toString();
  });
  // -O has a line for every echo: its answer, or that there is none yet.
  const numbers = (pattern: RegExp) => new Set([...output.matchAll(pattern)].map((match) => Number(match[1])));
  const highest = () => Math.max(0, ...numbers(/icmp_seq=(\d+)/g));
  await during();
  // What goes wrong may do so when the old SAs are taken away, a moment later.
  const enough = highest() + 40;
  await expect.poll(highest, { timeout: 5_000, interval: 10 }).toBeGreaterThan(enough);
  const sent = highest();
  const received = () => [...numbers(/icmp_seq=(\d+) ttl=/g)].filter((number) => number <= sent).length;
  const deadline = performance.now() + 1_000;
  while (received() < sent && performance.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 10));
  ping.kill("SIGINT");
  await new Promise((resolve) => ping.once("close", resolve));
  return { sent, received: received() };
}

const ask = (side: Side, command: Command) => askAgent(socketOf(side), { kind: "command", command });

describe("two gateways", () => {
  let a: Started;
  let b: Started;

  asRoot(
    "a link comes up from two files and carries traffic both ways",
    async () => {
      b = start(sides.b);
      a = start(sides.a);
      await waitUntilUp(sides.a, a);
      await waitUntilUp(sides.b, b);
      for (const [side, peer] of [
        [sides.a, sides.b],
        [sides.b, sides.a],
      ] as const) {
        // All at once, and a long interval: ping gives up one interval after its last echo, whatever -W says.
        expect(inside(side.namespace, "ping", "-n", "-c", "5", "-l", "5", "-i", "2", "-W", "2", peer.inside)).toContain("5 packets transmitted, 5 received");
      }
      const found = await link(sides.a);
      expect(found?.ikeSas[0]).toMatchObject({
        role: "initiator",
        state: "established",
        credentialId: "k1",
        remoteIdentity: expect.stringContaining("b.example"),
      });
      // A packet is counted once the kernel has taken it, and the answer may be there before that.
      await expect.poll(async () => (await link(sides.a))?.ikeSas[0]?.childSas[0]?.packetsIn).toBeGreaterThanOrEqual(10);
    },
    40_000,
  );

  asRoot(
    "no packet is lost while child and IKE SA are rekeyed from either side and authenticated anew",
    async () => {
      for (const side of [sides.a, sides.b]) {
        for (const name of ["child", "ike", "reauthenticate"] as const) {
          const before = await waitUntilUp(sides.a, a);
          const counts = await pingDuring(sides.a, sides.b.inside, async () => {
            await new Promise((resolve) => setTimeout(resolve, 300));
            await ask(side, name === "reauthenticate" ? { name, linkId: "link" } : { name: "rekey", linkId: "link", what: name });
            const identify = (found: ObservedLink | null) =>
              name === "child"
                ? found === null
                  ? []
                  : childSpis(found)
                : (found?.ikeSas.filter((sa) => sa.state === "established").map((sa) => sa.spiI) ?? []);
            await expect
              .poll(
                async () => {
                  const now = identify(await link(sides.a));
                  return now.length === 1 && now[0] !== identify(before)[0];
                },
                { timeout: 8_000, interval: 50, message: `${side.name} ${name}\n${a.output()}${b.output()}` },
              )
              .toBe(true);
          });
          expect(counts.sent, `${side.name} ${name}`).toBeGreaterThan(50);
          // The one in flight when ping is stopped does not count.
          expect(counts.sent - counts.received, `${side.name} ${name}`).toBeLessThanOrEqual(1);
        }
      }
    },
    120_000,
  );

  asRoot(
    "no packet is lost while the pre-shared key is replaced: both accepted, the new one used, the old one gone",
    async () => {
      const stages = [
        { keys: bothKeys, use: "k1" },
        { keys: bothKeys, use: "k2" },
      ];
      const counts = await pingDuring(sides.a, sides.b.inside, async () => {
        for (const stage of stages) {
          for (const side of [sides.b, sides.a]) {
            writeConfig(side, stage);
            expect(await askAgent(socketOf(side), { kind: "reload" })).toMatchObject({ ok: true });
          }
        }
        await ask(sides.a, { name: "reauthenticate", linkId: "link" });
        for (const side of [sides.a, sides.b]) {
          await expect
            .poll(async () => (await link(side))?.ikeSas.map((sa) => `${sa.state} ${sa.credentialId}`), { timeout: 8_000, message: a.output() + b.output() })
            .toEqual(["established k2"]);
        }
        for (const side of [sides.b, sides.a]) {
          writeConfig(side, { keys: `[{ id: k2, secret: another-${secret} }]`, use: "k2" });
          expect(await askAgent(socketOf(side), { kind: "reload" })).toMatchObject({ ok: true });
        }
        await new Promise((resolve) => setTimeout(resolve, 500));
      });
      expect(counts.sent).toBeGreaterThan(50);
      expect(counts.sent - counts.received).toBeLessThanOrEqual(1);
    },
    40_000,
  );

  asRoot(
    "another number of workers is in force at once, at the end that calls and at the one that is called, and the link is back",
    async () => {
      const lastKey = { keys: `[{ id: k2, secret: another-${secret} }]`, use: "k2" };
      for (const side of [sides.b, sides.a]) {
        writeConfig(side, lastKey, 2);
        expect(await askAgent(socketOf(side), { kind: "reload" })).toMatchObject({ ok: true });
        await waitUntilUp(sides.a, a);
        await waitUntilUp(sides.b, b);
        const report = observedState.parse((await askAgent(socketOf(side), { kind: "status" })).value);
        expect(report).toMatchObject({ workers: { outbound: 2, inbound: 2 } });
        expect(inside(sides.a.namespace, "ping", "-n", "-c", "5", "-l", "5", "-i", "2", "-W", "2", sides.b.inside)).toContain(
          "5 packets transmitted, 5 received",
        );
      }
      // Both ends have two now: a Child SA for all workers and one for each.
      const childCount = async () => childSpis(await waitUntilUp(sides.a, a)).length;
      await expect.poll(childCount, { timeout: 8_000 }).toBe(3);
    },
    60_000,
  );

  asRoot("neither log nor trace holds the key", async () => {
    expect(a.output() + b.output()).not.toContain(secret);
    expect(JSON.stringify(await ask(sides.a, { name: "trace", linkId: "link", limit: 1_000 }))).not.toContain(secret);
  });

  asRoot(
    "after kill -9 and a restart the link is back within 10 s",
    async () => {
      for (const side of ["a", "b"] as const) {
        const killed = side === "a" ? a : b;
        killed.process.kill("SIGKILL"); // `ip netns exec` became the agent: this is its process id
        await new Promise((resolve) => killed.process.once("close", resolve));
        const restartedAt = performance.now();
        const started = start(sides[side]);
        if (side === "a") a = started;
        else b = started;
        await waitUntilUp(sides[side], started, 10_000);
        await expect
          .poll(() => inside(sides.a.namespace, "sh", "-c", `ping -n -c 1 -W 1 ${sides.b.inside} || true`), { timeout: 10_000 })
          .toContain(" 1 received");
        expect(performance.now() - restartedAt).toBeLessThan(10_000);
      }
    },
    60_000,
  );

  asRoot(
    "SIGTERM tells the peer and leaves no device, route or socket",
    async () => {
      for (const side of ["a", "b"] as const) {
        const started = side === "a" ? a : b;
        started.process.kill("SIGTERM");
        await expect.poll(() => started.process.exitCode, { timeout: 5_000, message: started.output() }).toBe(0);
        const { namespace } = sides[side];
        expect(ip("-n", namespace, "link")).not.toContain("culvert0");
        expect(ip("-n", namespace, "route", "show", "proto", "213")).toBe("");
        expect(existsSync(socketOf(sides[side]))).toBe(false);
        if (side === "a") await expect.poll(async () => (await link(sides.b))?.ikeSas.length, { timeout: 5_000 }).toBe(0);
      }
    },
    30_000,
  );
});
