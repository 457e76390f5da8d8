import { deepEqual, equal, notEqual } from "node:assert/strict";
import { basename, join } from "node:path";
import { z } from "zod";
import { commandOf, startGuestHost } from "../lib/guest-host.ts";
import { startLoneKernelHost, temporaryDirectory } from "../lib/kernel-host.ts";
import type { Context, Scenario } from "./scenario.ts";

const runner = join(import.meta.dirname, "run.ts");
const environment = [`TMPDIR=${temporaryDirectory}`, `NODE_COMPILE_CACHE=${temporaryDirectory}/compiled`];

/**
 * Scenarios of this folder once more, in a host of user-mode Linux whose kernel protects packets at both ends: ours through XFRM, strongSwan's through its
 * kernel-netlink. One host for several of them.
 */
export function onKernelPlanes(name: string, what: string, scenarios: readonly string[]): Scenario {
  return {
    name,
    description: `the kernel's ESP at both ends: ${what}`,
    needsKernelPeer: true,
    longestSeconds: 240,
    async run(context) {
      const host = await startLoneKernelHost(context.directory);
      try {
        const argv = ["env", ...environment, process.execPath, runner, "--kernel", "--jobs", "1", ...scenarios];
        const { code, stdout } = await host.try(argv, { timeoutMilliseconds: 230_000 });
        for (const line of stdout.split("\n"))
          if (line.startsWith("ok ")) context.note(line.replace(/^ok +(\S+) +([\d.]+) s .*?(\(.*\))?$/, "$1 $2 s $3").trim());
        equal(code, 0, stdout);
      } finally {
        await host.kill();
      }
    },
  };
}

export const testing = join(import.meta.dirname, "../../agent/testing");

/** What a program of agent/testing prints: the name of each of its cases and null, or what went wrong. */
const outcomes = z.record(z.string(), z.string().nullable());

/**
 * Programs of agent/testing in a host of user-mode Linux, one after the other, each with a network namespace of its own. Every one of their cases must hold.
 * @param programs what a program's cases are about, and its file's name.
 */
export function inKernelHost(name: string, description: string, programs: Readonly<Record<string, string>>): Scenario {
  return {
    name,
    description,
    needsKernelPeer: true,
    longestSeconds: 240,
    async run(context) {
      const host = await startLoneKernelHost(context.directory);
      try {
        for (const [about, file] of Object.entries(programs)) {
          const path = join(testing, file);
          const argv = ["env", ...environment, "unshare", "--net", "bash", "-c", 'ip link set lo up && exec "$@"', "bash", process.execPath, path];
          expectCases(context, about, file, await host.run(argv, { timeoutMilliseconds: 150_000 }));
        }
      } finally {
        await host.kill();
      }
    },
  };
}

/**
 * Programs in a machine that qemu plays, with Debian's kernel, one after the other: for what user-mode Linux lacks. Every one of their cases must hold.
 * @param programs what a program's cases are about, and its file.
 */
export function inGuest(name: string, description: string, programs: Readonly<Record<string, string>>): Scenario {
  return {
    name,
    description,
    needsGuest: true,
    longestSeconds: 300,
    async run(context) {
      const sources = [...Object.values(programs), join(testing, "../dataplane/xfrm/xfrm-listener-worker.ts")];
      const host = await startGuestHost(context.directory, sources);
      try {
        for (const [about, file] of Object.entries(programs))
          expectCases(context, about, file, await host.run(commandOf(basename(file, ".ts")), { timeoutMilliseconds: 200_000 }));
      } finally {
        await host.kill();
      }
    },
  };
}

function expectCases(context: Context, about: string, file: string, output: string): void {
  const cases = outcomes.parse(JSON.parse(output));
  const failed = Object.fromEntries(Object.entries(cases).filter(([, outcome]) => outcome !== null));
  deepEqual(failed, {}, `${file}: ${Object.values(failed).join("\n")}`);
  const count = Object.keys(cases).length;
  notEqual(count, 0, `${file} has no cases`);
  context.note(`${count} of ${count} ${about}`);
}
