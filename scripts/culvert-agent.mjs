#!/usr/bin/env node
// The gateway's command: from a checkout it runs the sources, from an installation the bundle. Plain JavaScript, because the
// machine's Node may be too old for the sources and is then replaced by the one that npm installed.
import { spawn } from "node:child_process";
import { existsSync, realpathSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { agentNodeFlags, nodeProgram } from "./setup.mjs";

const here = dirname(realpathSync(fileURLToPath(import.meta.url)));
const program = [join(here, "../agent/main.ts"), join(here, "../dist/agent/main.mjs")].find((path) => existsSync(path));
if (program === undefined) {
  process.stderr.write("culvert-agent: neither agent/main.ts nor dist/agent/main.mjs is here; run `npm install && node scripts/setup.mjs`.\n");
  process.exit(1);
}
const child = spawn(nodeProgram(), [...agentNodeFlags, program, ...process.argv.slice(2)], { stdio: "inherit" });
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill(signal));
child.once("error", (error) => {
  process.stderr.write(`culvert-agent: ${error.message}\n`);
  process.exitCode = 1;
});
child.once("exit", (code, signal) => {
  process.exitCode = signal === null ? (code ?? 1) : 1;
});
