import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { childEnvironment, prismaEnvironment, root } from "../setup.mjs";
import { add, closingLine, type Counts, nothing, runInGroup } from "./stage.ts";

interface Check {
  readonly name: string;
  /** Resolves to whether it holds; prints what does not. */
  readonly run: () => Promise<boolean>;
}

const bin = (name: string) => join(root, "node_modules/.bin", name);
const node = process.execPath;

/** Everything that is proved by reading the sources. Each counts as one test. */
const checks: readonly Check[] = [
  { name: "types", run: () => succeeds(node, [bin("tsc"), "-p", "."]) },
  { name: "lint and format", run: () => succeeds(bin("biome"), ["ci", "--max-diagnostics=60", "."]) },
  { name: "layers and cycles", run: () => succeeds(node, [bin("depcruise"), ...cruise]) },
  { name: "layers: a planted violation is found", run: async () => plantedViolationsAreFound() },
  { name: "database schema", run: () => succeeds(node, ["node_modules/prisma/build/index.js", "validate"], prismaEnvironment()) },
  { name: "no leftovers in the sources", run: async () => sourcesAreClean() },
];

const cruise = ["--config", ".dependency-cruiser.mjs", "agent", "app", "contract", "server", "e2e", "scripts"];

/** Runs the checks and says of each how it went. */
export async function runChecks(): Promise<Counts> {
  let counts = nothing;
  for (const check of checks) {
    const started = performance.now();
    const holds = await check.run();
    process.stdout.write(`${holds ? "ok    " : "FAILED"} ${check.name} (${((performance.now() - started) / 1_000).toFixed(1)} s)\n`);
    counts = add(counts, { passed: holds ? 1 : 0, failed: holds ? 0 : 1, skipped: 0 });
  }
  return counts;
}

async function succeeds(program: string, args: readonly string[], env = childEnvironment()): Promise<boolean> {
  return (await runInGroup(program, args, { env, timeoutSeconds: 300 })) === 0;
}

/** One import for each kind of rule that must be refused, in a file that lives only as long as this check. */
const violations = [
  { file: "agent/wire/planted-violation.ts", source: 'import { readFileSync } from "node:fs";\nexport const planted = readFileSync;\n', rule: "pure-core" },
  { file: "agent/ipsec/planted-violation.ts", source: 'import "../runtime/version.ts";\n', rule: "ipsec-imports-wire-crypto" },
  { file: "app/planted-violation.ts", source: 'import "../agent/runtime/version.ts";\n', rule: "app-imports-server-contract" },
];

/** A checker that silently reads nothing would pass every time: it must find these. */
function plantedViolationsAreFound(): boolean {
  let allFound = true;
  for (const { file, source, rule } of violations) {
    const path = join(root, file);
    mkdirSync(join(path, ".."), { recursive: true });
    try {
      writeFileSync(path, source);
      const { status, stdout } = spawnSync(node, [bin("depcruise"), "--config", ".dependency-cruiser.mjs", file], {
        cwd: root,
        encoding: "utf8",
        env: childEnvironment(),
      });
      const found = status !== 0 && stdout.includes(rule);
      if (!found) process.stdout.write(`the violation of ${rule} planted in ${file} was not found (exit ${status})\n${stdout}`);
      allFound &&= found;
    } finally {
      rmSync(path, { force: true });
    }
  }
  return allFound;
}

const forbidden = [
  { what: "an `any` cast", pattern: /\bas any\b/ },
  { what: "a type error that is silenced", pattern: /@ts-(ignore|nocheck|expect-error)/ },
  { what: "a marker of unfinished work", pattern: /\b(TODO|FIXME|XXX)\b/ },
  { what: "a focused or skipped test", pattern: /\b(describe|it|test)\.(only|skip|todo)\(/ },
];

/** Reads every tracked and new source file. */
function sourcesAreClean(): boolean {
  const listing = spawnSync("git", ["ls-files", "--cached", "--others", "--exclude-standard"], { cwd: root, encoding: "utf8" });
  if (listing.status !== 0) {
    process.stdout.write(`git ls-files: ${listing.stderr}\n`);
    return false;
  }
  const own = fileURLToPath(import.meta.url);
  const files = listing.stdout.split("\n").filter((file) => /\.(ts|tsx|mjs)$/.test(file) && join(root, file) !== own);
  let clean = true;
  for (const file of files) {
    for (const [index, line] of linesOf(file).entries()) {
      const found = forbidden.find(({ pattern }) => pattern.test(line));
      if (found === undefined) continue;
      process.stdout.write(`${file}:${index + 1}: ${found.what}\n`);
      clean = false;
    }
  }
  return clean;
}

function linesOf(file: string): string[] {
  try {
    return readFileSync(join(root, file), "utf8").split("\n");
  } catch (error) {
    // Tracked and deleted in the work tree.
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return [];
    throw error;
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const counts = await runChecks();
  process.stdout.write(`${closingLine(counts, false)}\n`);
  process.exitCode = counts.failed === 0 ? 0 : 1;
}
