import { equal } from "node:assert/strict";
import { join } from "node:path";
import { startLoneKernelHost, temporaryDirectory } from "../lib/kernel-host.ts";
import type { Scenario } from "./scenario.ts";

const runner = join(import.meta.dirname, "run.ts");

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
        const environment = [`TMPDIR=${temporaryDirectory}`, `NODE_COMPILE_CACHE=${temporaryDirectory}/compiled`];
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
