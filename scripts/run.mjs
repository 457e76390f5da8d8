// `node scripts/run.mjs NAME [arguments]`: set-up, then one of the programs below under a Node that runs TypeScript.
// Plain JavaScript for Node 18 and later; `npm test`, `npm run demo` and the others are this.
import { spawn } from "node:child_process";
import { childEnvironment, nodeProgram, root, setUp } from "./setup.mjs";

const programs = {
  test: { program: "scripts/test/main.ts", build: true },
  check: { program: "scripts/test/check.ts", build: false },
  interop: { program: "e2e/interop/run.ts", build: "gateway" },
  demo: { program: "scripts/demo/main.ts", build: true },
  start: { program: "scripts/start/main.ts", build: true },
  bench: { program: "bench/run.ts", build: true },
  fuzz: { program: "agent/testing/fuzz/main.ts", build: false },
};

/** Runs the program in the foreground: its output and exit code are ours, and it gets the signals that we get. */
export async function runProgram(name, args) {
  const chosen = programs[name];
  if (chosen === undefined) throw new Error(`There is no program ${name}; there are ${Object.keys(programs).join(", ")}.`);
  await setUp({ build: chosen.build });
  const child = spawn(nodeProgram(), [chosen.program, ...args], { cwd: root, env: childEnvironment(), stdio: "inherit" });
  // A terminal sends Ctrl-C to both processes, so the program may get it twice; waiting here lets it clean up.
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill(signal));
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", (code, signal) => resolve(signal === null ? (code ?? 1) : 1));
  });
}

/** The whole of a command: exit code 1 and a sentence when set-up fails. */
export async function main(name, args) {
  try {
    process.exitCode = await runProgram(name, args);
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    process.exitCode = 1;
  }
}

if (process.argv[1]?.endsWith("run.mjs")) await main(process.argv[2] ?? "", process.argv.slice(3));
