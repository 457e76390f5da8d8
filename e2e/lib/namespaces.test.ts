import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { test } from "vitest";
import { makeThreeNamespaces, sweepLeftovers } from "./namespaces.ts";
import { pollUntil } from "./poll.ts";
import { runCommand } from "./run-command.ts";

test("the middle routes between the outside addresses and drops what is for an inside one", async () => {
  const net = await makeThreeNamespaces("cvit");
  try {
    // A cable carries a moment after it was plugged in, and the kernel takes its time on a busy machine.
    await pollUntil("an echo between the outside addresses", 10_000, async () =>
      (await net.left.try(["ping", "-c1", "-W1", net.right.outsideAddress])).code === 0 ? true : undefined,
    );
    const inside = await net.left.try(["ping", "-c1", "-W0.2", "-I", net.left.insideAddress, net.right.insideAddress]);
    strictEqual(inside.code, 1);
  } finally {
    net.remove();
  }
});

test("removing the namespaces ends what runs inside", async () => {
  const net = await makeThreeNamespaces("cvit");
  const sleeper = net.left.start(["sleep", "600"], { stdio: "ignore" });
  const ended = new Promise((resolve) => sleeper.once("close", (_code, signal) => resolve(signal)));
  await pollUntil("the program to run inside", 2_000, async () => {
    const pids = await runCommand(["ip", "netns", "pids", net.left.name]);
    return pids.trim() === String(sleeper.pid) ? true : undefined;
  });
  net.remove();
  deepStrictEqual(await ended, "SIGKILL");
  deepStrictEqual(
    [net.left, net.middle, net.right].map(({ name }) => existsSync(`/run/netns/${name}`)),
    [false, false, false],
  );
});

test("sweeps the namespaces of a process that was killed, and leaves those of one that lives", async () => {
  const living = await makeThreeNamespaces("cvis");
  const script = `const { makeThreeNamespaces } = await import(${JSON.stringify(new URL("./namespaces.ts", import.meta.url).href)});
    await makeThreeNamespaces("cvis"); process.stdout.write("made"); setInterval(() => {}, 1000);`;
  const doomed = spawn(process.execPath, ["--input-type=module", "-e", script], { stdio: ["ignore", "pipe", "inherit"] });
  try {
    await new Promise((resolve) => doomed.stdout.once("data", resolve));
    deepStrictEqual(sweepLeftovers("cvis"), []);
    const dead = new Promise((resolve) => doomed.once("close", resolve));
    doomed.kill("SIGKILL");
    await dead;
    deepStrictEqual(
      sweepLeftovers("cvis").toSorted(),
      ["l", "m", "r"].map((side) => `cvis-${doomed.pid}-0-${side}`),
    );
    ok(existsSync(`/run/netns/${living.left.name}`));
  } finally {
    living.remove();
  }
});
