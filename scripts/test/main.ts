import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { z } from "zod";
import { childEnvironment, root, setUpNative } from "../setup.mjs";
import { runChecks } from "./check.ts";
import { ensurePackages } from "./packages.ts";
import { add, closingLine, type Counts, endRunningGroups, forgetResult, nothing, runInGroup } from "./stage.ts";

const stageNames = ["check", "unit", "interop", "demo", "browser"] as const;
type StageName = (typeof stageNames)[number];

const strict = process.env["CI"] === "true";
const env = childEnvironment();
const results = mkdtempSync(join(tmpdir(), "culvert-test-"));

/** `npm test [-- check unit interop demo browser]`: the named stages, or all; the closing line counts what passed and what failed. */
async function main(): Promise<number> {
  const { positionals } = parseArgs({ allowPositionals: true });
  for (const name of positionals)
    if (!stageNames.some((known) => known === name)) throw new Error(`There is no stage ${name}; there are ${stageNames.join(", ")}.`);
  const chosen = stageNames.filter((name) => positionals.length === 0 || positionals.includes(name));
  const advice = chosen.some((name) => name !== "check") ? ensurePackages((line) => process.stdout.write(`[packages] ${line}\n`)) : undefined;
  if (advice !== undefined) process.stdout.write(`[packages] ${advice}\n`);
  // The packages may have brought the compiler that set-up did not find.
  await setUpNative();
  let total = nothing;
  const lines: string[] = [];
  for (const name of chosen) {
    process.stdout.write(`\n=== ${name}\n`);
    const started = performance.now();
    const counts = await runStage(name);
    lines.push(`${name.padEnd(8)} ${closingLine(counts, false)} (${Math.round((performance.now() - started) / 1_000)} s)`);
    total = add(total, counts);
  }
  process.stdout.write(`\n${lines.join("\n")}\n`);
  if (advice !== undefined) process.stdout.write(`${advice}\n`);
  if (strict && total.skipped > 0) process.stdout.write(`${total.skipped} skipped: with CI=true each counts as failed\n`);
  process.stdout.write(`${closingLine(total, strict)}\n`);
  return total.failed === 0 && total.passed > 0 && !(strict && total.skipped > 0) ? 0 : 1;
}

/** A stage that throws, crashes or counts nothing is one failure. */
async function runStage(name: StageName): Promise<Counts> {
  try {
    const counts = await stages[name]();
    if (counts.passed + counts.failed + counts.skipped > 0) return counts;
    process.stdout.write(`${name}: ran no test\n`);
  } catch (error) {
    process.stdout.write(`${name}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
  }
  return { passed: 0, failed: 1, skipped: 0 };
}

const stages: Record<StageName, () => Promise<Counts>> = {
  check: runChecks,
  unit: () => runVitest(["--exclude", demoTests]),
  interop: runInterop,
  demo: () => runVitest([demoTests]),
  browser: runBrowserTests,
};

const vitestReport = z.object({
  numPassedTests: z.number(),
  numFailedTests: z.number(),
  numPendingTests: z.number(),
  numTodoTests: z.number(),
  numFailedTestSuites: z.number(),
  success: z.boolean(),
});

/** They start whole consoles and measure time: nothing else runs beside them. */
const demoTests = "scripts/demo/demo.test.ts";

async function runVitest(args: readonly string[]): Promise<Counts> {
  const file = join(results, "vitest.json");
  forgetResult(file);
  const code = await runInGroup("vitest", ["run", ...args, "--reporter=default", "--reporter=json", `--outputFile.json=${file}`], { env, timeoutSeconds: 900 });
  const report = vitestReport.parse(JSON.parse(readFileSync(file, "utf8")));
  // A file that cannot be loaded has no failed test of its own.
  const failed = report.numFailedTests > 0 || (code === 0 && report.success) ? report.numFailedTests : Math.max(1, report.numFailedTestSuites);
  return { passed: report.numPassedTests, failed, skipped: report.numPendingTests + report.numTodoTests };
}

const interopReport = z.object({ results: z.array(z.object({ passed: z.boolean() })) });

async function runInterop(): Promise<Counts> {
  if (process.getuid?.() !== 0 || process.platform !== "linux") {
    process.stdout.write("interop needs Linux network namespaces: run `npm test` as root on Linux\n");
    return { passed: 0, failed: 0, skipped: 1 };
  }
  mkdirSync(join(root, "dist"), { recursive: true });
  const file = join(root, "dist/interop.json");
  forgetResult(file);
  const code = await runInGroup(process.execPath, ["e2e/interop/run.ts", "--json", file], { env, timeoutSeconds: 1_800 });
  const report = interopReport.parse(JSON.parse(readFileSync(file, "utf8")));
  const passed = report.results.filter((result) => result.passed).length;
  const failed = report.results.length - passed;
  return { passed, failed: failed === 0 && code !== 0 ? 1 : failed, skipped: 0 };
}

const playwrightReport = z.object({ stats: z.object({ expected: z.number(), unexpected: z.number(), flaky: z.number(), skipped: z.number() }) });

async function runBrowserTests(): Promise<Counts> {
  const file = join(results, "playwright.json");
  const code = await runInGroup("playwright", ["test", "--reporter=list,json"], { env: { ...env, PLAYWRIGHT_JSON_OUTPUT_NAME: file }, timeoutSeconds: 1_200 });
  const { stats } = playwrightReport.parse(JSON.parse(readFileSync(file, "utf8")));
  const failed = stats.unexpected + stats.flaky;
  return { passed: stats.expected, failed: failed === 0 && code !== 0 ? 1 : failed, skipped: stats.skipped };
}

for (const [signal, code] of [
  ["SIGINT", 130],
  ["SIGTERM", 143],
  ["SIGHUP", 129],
] as const) {
  process.on(signal, () => void endRunningGroups().finally(() => process.exit(code)));
}
try {
  process.exitCode = await main();
} catch (error) {
  process.stdout.write(`${error instanceof Error ? error.message : String(error)}\n0 passed, 1 failed\n`);
  process.exitCode = 1;
} finally {
  await endRunningGroups();
  rmSync(results, { recursive: true, force: true });
}
