import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { childEnvironment, nodeProgram, root } from "../setup.mjs";

/*
 * The demo as a person starts it. What it leaves behind is looked for by its own marks: the process ids of its field in the
 * namespaces' names, and a data directory of this test's own in every program's arguments or environment.
 */
const data = mkdtempSync(join("/var/tmp", "culvert-demo-test-"));

beforeAll(() => {
  // Postgres runs as another user and passes through.
  spawnSync("chmod", ["0711", data]);
});
afterAll(() => rmSync(data, { recursive: true, force: true }));

interface Demo {
  readonly process: ChildProcess;
  readonly output: () => string;
  readonly ended: Promise<number | null>;
}

function startDemo(...flags: readonly string[]): Demo {
  const child = spawn(nodeProgram(), [join(root, "scripts/demo/main.ts"), ...flags], { cwd: root, env: childEnvironment({ CULVERT_DATA_DIR: data }) });
  let output = "";
  child.stdout.on("data", (bytes: Buffer) => {
    output += bytes.toString();
  });
  let errors = "";
  child.stderr.on("data", (bytes: Buffer) => {
    errors += bytes.toString();
  });
  const ended = new Promise<number | null>((resolve) => child.once("close", (code) => resolve(code)));
  return { process: child, output: () => (flags.includes("--once") ? output : output + errors), ended };
}

/** Programs that have this test's data directory in their arguments or environment. */
function programs(): string[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .flatMap((pid) => {
      try {
        const [command, environment] = ["cmdline", "environ"].map((file) => readFileSync(`/proc/${pid}/${file}`, "latin1"));
        return `${command}\0${environment}`.includes(data) && command !== "" ? [`${pid} ${command?.replaceAll("\0", " ")}`] : [];
      } catch {
        // It ended while it was looked at, or is another user's.
        return [];
      }
    });
}

function leftovers(): string[] {
  const demos = join(data, "demo");
  return [
    ...programs(),
    ...(existsSync(demos) ? readdirSync(demos) : []),
    ...readdirSync(tmpdir()).filter((name) => name.startsWith("culvert-demo-") && isDead(name)),
  ];
}

function isDead(name: string): boolean {
  return !existsSync(`/proc/${name.split("-")[2]}`);
}

describe("npm run demo", () => {
  it("--once brings the link up within 20 s, loses nothing and shows the internet nothing but IKE and ESP", async () => {
    const demo = startDemo("--once");
    expect(await demo.ended, demo.output()).toBe(0);
    const report: Record<string, unknown> = JSON.parse(demo.output());
    expect(report).toMatchObject({ packetsLost: 0, packetsNeitherIkeNorEsp: 0 });
    expect(report["packetsSent"]).toBeGreaterThan(0);
    expect(report["packetsReceived"]).toBe(report["packetsSent"]);
    expect(report["secondsToLinkUp"]).toBeLessThan(20);
    expect(report["mbitPerSecond"]).toBeGreaterThan(0);
    expect(report["spis"]).toHaveLength(2);
    expect(report["packetsIkeOrEsp"]).toBeGreaterThan(400);
    expect(leftovers()).toEqual([]);
  }, 90_000);

  it("prints the address and the setup code, and leaves nothing after SIGTERM or Ctrl-C", async () => {
    for (const signal of ["SIGTERM", "SIGINT"] as const) {
      const demo = startDemo();
      await expect.poll(demo.output, { timeout: 40_000 }).toMatch(/Setup code\s+[A-Z2-9]{4}-/);
      const url = /http:\/\/localhost:\d+/.exec(demo.output())?.[0] ?? "";
      expect((await fetch(`${url}/setup`)).status).toBe(200);
      demo.process.kill(signal);
      expect(await demo.ended).toBe(0);
      expect(leftovers()).toEqual([]);
      await expect(fetch(url)).rejects.toThrow();
    }
  }, 120_000);

  it("removes at its next start what a SIGKILL left", async () => {
    const killed = startDemo();
    await expect.poll(killed.output, { timeout: 40_000 }).toContain("Setup code");
    killed.process.kill("SIGKILL");
    await killed.ended;
    expect(programs()).not.toEqual([]);
    const next = startDemo("--once");
    expect(await next.ended, next.output()).toBe(0);
    expect(leftovers()).toEqual([]);
  }, 120_000);
});
