// What every command begins with: dependencies, Prisma client, native function, gateway bundle, console build. Plain JavaScript for Node 18 and
// later, because it runs before anything is installed. A second run finds everything current and takes a moment.
//
//   node scripts/setup.mjs [--build-only] [--dependencies-only]
import { spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";

export const root = join(dirname(fileURLToPath(import.meta.url)), "..");

/**
 * Brings the checkout up to date. Each step is skipped when a stamp says that it was done for these very inputs.
 * @param {{ dependencies?: boolean, build?: boolean | "gateway", say?: (line: string) => void }} options
 *   `dependencies: false` takes node_modules as it is; `build: false` leaves out the console and the gateway bundle, "gateway" the console alone.
 */
export async function setUp({ dependencies = true, build = true, say = sayOnStandardError } = {}) {
  const steps = [dependencies ? installDependencies : givenDependencies, generatePrisma, ...builds(build)];
  for (const step of steps) await bringUpToDate(step, say);
}

function builds(wanted) {
  if (wanted === false) return [];
  return wanted === "gateway" ? [compileNative, bundleAgent] : [compileNative, bundleAgent, buildConsole];
}

/** The native function alone: for those who have installed a compiler meanwhile. */
export const setUpNative = (say = sayOnStandardError) => bringUpToDate(compileNative, say);

async function bringUpToDate(step, say) {
  const stamp = join(root, step.stamp);
  if (step.isWanted?.() === false) return;
  if (existsSync(join(root, step.result)) && existsSync(stamp) && readFileSync(stamp, "utf8") === fingerprint(step.inputs)) return;
  const started = Date.now();
  say(`${step.title} …`);
  try {
    await step.run();
  } catch (error) {
    if (!step.isOptional) throw error;
    say(`${step.title}: failed, so it is done without. ${error instanceof Error ? error.message : String(error)}`);
    return;
  }
  // After the step: npm may complete the lock file.
  mkdirSync(dirname(stamp), { recursive: true });
  writeFileSync(stamp, fingerprint(step.inputs));
  say(`${step.title}: done in ${((Date.now() - started) / 1000).toFixed(1)} s`);
}

/**
 * The Node that runs the TypeScript sources: this one when it is new enough, else the one that npm installed.
 * Throws a sentence that says what to do when there is neither.
 */
export function nodeProgram() {
  const installed = join(root, "node_modules/.bin/node");
  if (existsSync(installed)) return installed;
  if (Number.parseInt(process.versions.node, 10) >= 26) return process.execPath;
  throw new Error(
    `Node ${process.versions.node} is too old and no newer one comes with the packages for ${process.platform}-${process.arch}: install Node 26 or later.`,
  );
}

/**
 * For the gateway's process. Its memory is that of its SAs, which live long; the room for short-lived objects, 16 MB three times over by
 * default and more on the way to them, only made it larger by half (measured with 4,000 links; the handshake rate is the same). Nor may what
 * has died wait until the heap has grown by half (with 10,000 links 60 to 90 MB; 3,000 handshakes took the same CPU time).
 */
export const agentNodeFlags = ["--max-semi-space-size=1", "--heap-growing-percent=15"];

/** The environment of every child: our programs and the right Node first in PATH. */
export function childEnvironment(extra = {}) {
  return { ...process.env, PATH: `${join(root, "node_modules/.bin")}:${process.env.PATH ?? ""}`, NEXT_TELEMETRY_DISABLED: "1", ...extra };
}

const installDependencies = {
  title: "Installing dependencies",
  stamp: "node_modules/.culvert-stamp",
  result: "node_modules/next/package.json",
  inputs: ["package.json", "package-lock.json"],
  // Not `npm ci`: a registry may lack packages for other platforms, which the lock file then lacks too.
  run: () => run("npm", ["install", "--no-audit", "--no-fund", "--loglevel=error"], process.env),
};

/** Somebody else has installed them, as an image's build does: only the stamp is wanted, so that `npm start` finds nothing to do. */
const givenDependencies = { ...installDependencies, title: "Taking the dependencies as they are", run: async () => undefined };

const generatePrisma = {
  title: "Generating the database client",
  stamp: "generated/.culvert-stamp",
  result: "generated/prisma",
  inputs: ["prisma/schema.prisma", "prisma.config.ts", "package-lock.json"],
  run: () => run(nodeProgram(), ["node_modules/prisma/build/index.js", "generate"], prismaEnvironment()),
};

/** Optional: without a C compiler the gateway makes OpenSSL's calls one by one, which is slower and otherwise the same. */
const compileNative = {
  title: "Compiling the gateway's native function",
  stamp: "dist/native/.culvert-stamp",
  result: "dist/native/aead-batch.so",
  inputs: ["agent/dataplane/native"],
  isOptional: true,
  isWanted: () => process.platform === "linux" && spawnSync("cc", ["--version"], { stdio: "ignore" }).status === 0,
  async run() {
    mkdirSync(join(root, "dist/native"), { recursive: true });
    const source = "agent/dataplane/native/aead-batch.c";
    const built = "dist/native/built.so";
    await run("cc", ["-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-o", built, source], process.env);
    // What this very Node cannot load must not be found by the gateway.
    await run(
      nodeProgram(),
      ["-e", `require("koffi").load("./${built}").func("int culvert_aead_batch_3(uintptr_t jobs, int count, int seals, int keyOctets)")`],
      process.env,
    );
    renameSync(join(root, built), join(root, this.result));
  },
};

const bundleAgent = {
  title: "Bundling the gateway",
  stamp: "dist/.culvert-stamp",
  result: "dist/agent/main.mjs",
  inputs: ["agent", "contract", "package-lock.json", "scripts/bundle-agent.mjs"],
  run: () => run(nodeProgram(), ["scripts/bundle-agent.mjs"], childEnvironment()),
};

const buildConsole = {
  title: "Building the console",
  stamp: ".next/.culvert-stamp",
  result: ".next/standalone/server.js",
  inputs: [
    "app",
    "server",
    "contract",
    "public",
    "proxy.ts",
    "next.config.ts",
    "postcss.config.mjs",
    "tsconfig.json",
    "prisma/schema.prisma",
    "package-lock.json",
  ],
  async run() {
    rmSync(join(root, ".next/standalone"), { recursive: true, force: true });
    await run(nodeProgram(), ["node_modules/next/dist/bin/next", "build"], childEnvironment({ NODE_ENV: "production" }));
    // The standalone server serves these two only when they lie beside it.
    cpSync(join(root, ".next/static"), join(root, ".next/standalone/.next/static"), { recursive: true });
    if (existsSync(join(root, "public"))) cpSync(join(root, "public"), join(root, ".next/standalone/public"), { recursive: true });
  },
};

/** Prisma's commands want an engine that is a download. Those used here never start it, so any file that exists will do. */
export function prismaEnvironment() {
  return childEnvironment({ PRISMA_SCHEMA_ENGINE_BINARY: join(root, "package.json"), CHECKPOINT_DISABLE: "1", PRISMA_HIDE_UPDATE_MESSAGE: "1" });
}

/** Hash of the inputs' paths and contents; tests are not inputs. */
function fingerprint(inputs) {
  const hash = createHash("sha256").update(process.platform + process.arch);
  for (const input of inputs) {
    for (const file of filesOf(join(root, input))) hash.update(`\0${relative(root, file)}\0`).update(readFileSync(file));
  }
  return hash.digest("hex");
}

function filesOf(path) {
  if (!existsSync(path)) return [];
  if (!statSync(path).isDirectory()) return [path];
  return readdirSync(path)
    .filter((name) => !/\.test\.tsx?$/.test(name))
    .sort()
    .flatMap((name) => filesOf(join(path, name)));
}

/** Runs a program with its output on standard error, so that standard output stays the command's own. */
function run(program, args, env) {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { cwd: root, env, stdio: ["ignore", 2, 2] });
    child.once("error", reject);
    child.once("exit", (code, signal) => (code === 0 ? resolve() : reject(new Error(`${program} ${args.join(" ")} ended with ${signal ?? code}`))));
  });
}

function sayOnStandardError(line) {
  process.stderr.write(`[set-up] ${line}\n`);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  try {
    await setUp({ dependencies: !process.argv.includes("--build-only"), build: !process.argv.includes("--dependencies-only") });
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    process.exit(1);
  }
}
