import { spawn } from "node:child_process";
import { copyFileSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { Processes, startTicksOf } from "./processes.ts";

const directory = mkdtempSync(join(tmpdir(), "culvert-processes-"));
afterAll(() => rmSync(directory, { recursive: true, force: true }));
const quiet = { env: process.env, onLine: () => undefined, onUnexpectedEnd: () => undefined };

describe("the programs that a command starts", () => {
  it("are ended by the next start when the command itself was killed", async () => {
    // What a killed command has written stays as it was: the one here goes on writing its own.
    const [own, file] = [join(directory, "own.json"), join(directory, "killed.json")];
    const child = new Processes(own).start("a server", ["sleep", "300"], quiet);
    copyFileSync(own, file);
    expect(await new Processes(file).endLeftovers()).toEqual(["a server"]);
    await expect.poll(() => child.signalCode).toBe("SIGTERM");
    expect(existsSync(file)).toBe(false);
  });

  it("are told from a stranger that got the same process id", async () => {
    const file = join(directory, "stranger.json");
    const stranger = spawn("sleep", ["300"]);
    try {
      writeFileSync(file, JSON.stringify([{ pid: stranger.pid, startTicks: "1", what: "a server" }]));
      expect(await new Processes(file).endLeftovers()).toEqual([]);
      expect(startTicksOf(stranger.pid ?? 0)).toBeDefined();
    } finally {
      stranger.kill("SIGKILL");
    }
  });

  it("count as ended when nobody has asked how they ended", async () => {
    const parent = spawn("sh", ["-c", "sleep 0 & echo $!; exec sleep 300"]);
    try {
      const said = await new Promise<string>((resolve) => parent.stdout.once("data", (bytes: Buffer) => resolve(bytes.toString())));
      await expect.poll(() => startTicksOf(Number(said))).toBeUndefined();
      expect(existsSync(`/proc/${said.trim()}/stat`)).toBe(true);
    } finally {
      parent.kill("SIGKILL");
    }
  });

  it("end with the command, those that do not listen to SIGTERM too", async () => {
    const file = join(directory, "stubborn.json");
    const processes = new Processes(file);
    const { promise: ready, resolve } = Promise.withResolvers<string>();
    const child = processes.start("a stubborn one", ["sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.1; done"], { ...quiet, onLine: resolve });
    await ready;
    expect(JSON.parse(readFileSync(file, "utf8"))).toHaveLength(1);
    await processes.stop(0.3);
    expect(child.signalCode).toBe("SIGKILL");
  });

  it("that end by themselves are reported in a sentence", async () => {
    const { promise, resolve } = Promise.withResolvers<string>();
    new Processes(join(directory, "sudden.json")).start("the hub", ["sh", "-c", "exit 3"], { ...quiet, onUnexpectedEnd: resolve });
    expect(await promise).toBe("the hub ended unexpectedly (exit code 3)");
  });
});
