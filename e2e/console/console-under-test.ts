import { spawn, type ChildProcess } from "node:child_process";
import { randomInt } from "node:crypto";
import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { removeAtExit } from "../lib/cleanup.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const startProgram = join(root, "scripts/start/main.ts");
const startMilliseconds = 60_000;

/** A console and its hub as `npm start` runs them: embedded Postgres, TLS, nothing set up yet. */
export interface ConsoleUnderTest {
  readonly url: string;
  readonly setupCode: string;
  /** Where gateways inside namespaces reach the hub. */
  readonly hubSocket: string;
  /** Everything the console and the hub wrote to their standard output and error. */
  log(): string;
  /** Kills the hub and the console as a power cut would, and starts them again over the same data. */
  stop(): Promise<void>;
  start(): Promise<void>;
  /** Ends it and removes its data. */
  remove(): Promise<void>;
}

export async function startConsoleUnderTest(): Promise<ConsoleUnderTest> {
  const directory = mkdtempSync(join(tmpdir(), "culvert-e2e-"));
  // As root Postgres runs as a user of its own, who must be able to pass through.
  chmodSync(directory, 0o711);
  const [consolePort, hubPort] = [await freePort(), await freePort()];
  const url = `https://localhost:${consolePort}`;
  const hubSocket = join(directory, "hub.sock");
  const env = {
    ...process.env,
    CULVERT_DATA_DIR: join(directory, "data"),
    CULVERT_CONSOLE_PORT: String(consolePort),
    CULVERT_HUB_PORT: String(hubPort),
    CULVERT_HUB_UNIX: hubSocket,
  };
  let output = "";
  let child: ChildProcess | null = null;
  const forget = removeAtExit("console under test", () => child?.kill("SIGTERM"));

  async function start(): Promise<void> {
    const started = spawn(process.execPath, [startProgram], { cwd: root, env, stdio: ["ignore", "pipe", "pipe"] });
    child = started;
    const from = output.length;
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`the console did not start within ${startMilliseconds / 1_000} s\n${output}`)), startMilliseconds);
      const look = (bytes: Buffer) => {
        output += bytes.toString("utf8");
        const fresh = output.slice(from);
        if (!fresh.includes("console: https://") || (from === 0 && !/setup code: \S/.test(fresh))) return;
        clearTimeout(timer);
        resolve();
      };
      started.stdout.on("data", look);
      started.stderr.on("data", look);
      started.once("exit", (code) => {
        clearTimeout(timer);
        reject(new Error(`the console ended with ${code}\n${output}`));
      });
    });
  }

  async function stop(): Promise<void> {
    const running = child;
    child = null;
    if (running === null || running.exitCode !== null) return;
    const ended = new Promise<void>((resolve) => running.once("exit", () => resolve()));
    running.kill("SIGTERM");
    await ended;
  }

  await start();
  return {
    url,
    setupCode: /setup code: (\S+)/.exec(output)?.[1] ?? "",
    hubSocket,
    log: () => output,
    start,
    stop,
    async remove() {
      await stop();
      forget();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

/** Below those that the system gives to whoever asks for any: the console is away for a minute, and finds its port free again. */
async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(12_000, 20_000);
    const probe = createServer();
    const isFree = await new Promise<boolean>((resolve) => {
      probe.once("error", () => resolve(false));
      probe.listen(port, "127.0.0.1", () => probe.close(() => resolve(true)));
    });
    if (isFree) return port;
  }
}
