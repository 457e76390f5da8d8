import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { z } from "zod";

const recordFile = z.array(z.object({ pid: z.number(), startTicks: z.string(), what: z.string() }));

/**
 * The programs that a command has started, written to `file` with their start times: when the command itself is killed with
 * SIGKILL, its next start finds them there and ends them, and never a stranger that got the same process id.
 */
export class Processes {
  private readonly file: string;
  private readonly children = new Map<ChildProcess, { readonly what: string; readonly startTicks: string }>();
  private isStopping = false;

  constructor(file: string) {
    this.file = file;
  }

  /** Ends what an earlier run left running. Returns what it was. */
  async endLeftovers(): Promise<string[]> {
    if (!existsSync(this.file)) return [];
    const parsed = recordFile.safeParse(readJson(this.file));
    const alive = (parsed.success ? parsed.data : []).filter(({ pid, startTicks }) => startTicksOf(pid) === startTicks);
    for (const { pid } of alive) signal(pid, "SIGTERM");
    for (let waited = 0; waited < 60 && alive.some(({ pid, startTicks }) => startTicksOf(pid) === startTicks); waited += 1) await delay(100);
    for (const { pid, startTicks } of alive) if (startTicksOf(pid) === startTicks) signal(pid, "SIGKILL");
    rmSync(this.file, { force: true });
    return alive.map(({ what }) => what);
  }

  /**
   * Starts a program whose lines go to `onLine`. When it ends without having been asked to, `onUnexpectedEnd` gets a sentence.
   * @param options.ipc opens a message channel (`child.send`, `child.on("message")`).
   */
  start(
    what: string,
    argv: readonly string[],
    options: { env: NodeJS.ProcessEnv; cwd?: string; ipc?: boolean; onLine: (line: string) => void; onUnexpectedEnd: (sentence: string) => void },
  ): ChildProcess {
    if (this.isStopping) throw new Error(`${what} was not started: everything is being ended`);
    const [program = "", ...args] = argv;
    // A group of its own: a terminal's Ctrl-C reaches only the command, which then ends the others in order.
    const child = spawn(program, args, {
      env: options.env,
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
      detached: true,
      stdio: options.ipc === true ? ["ignore", "pipe", "pipe", "ipc"] : ["ignore", "pipe", "pipe"],
    });
    for (const stream of [child.stdout, child.stderr]) eachLine(stream, options.onLine);
    if (child.pid !== undefined) {
      this.children.set(child, { what, startTicks: startTicksOf(child.pid) ?? "" });
      this.write();
    }
    const ended = (how: string) => {
      this.children.delete(child);
      this.write();
      if (!this.isStopping) options.onUnexpectedEnd(`${what} ended unexpectedly (${how})`);
    };
    child.once("error", (error) => ended(error.message));
    child.once("exit", (code, by) => ended(by ?? `exit code ${code}`));
    return child;
  }

  /** From now on nothing is started, and an end is not unexpected. */
  seal(): void {
    this.isStopping = true;
  }

  /** Ends all of them, newest first: SIGTERM, and SIGKILL for the group of one that has not ended after `graceSeconds`. */
  async stop(graceSeconds = 8): Promise<void> {
    this.seal();
    for (const child of [...this.children.keys()].reverse()) await endChild(child, graceSeconds);
    rmSync(this.file, { force: true });
  }

  private write(): void {
    const rows = [...this.children].flatMap(([{ pid }, entry]) => (pid === undefined ? [] : [{ pid, ...entry }]));
    mkdirSync(dirname(this.file), { recursive: true });
    writeFileSync(`${this.file}.new`, JSON.stringify(rows), { mode: 0o600 });
    renameSync(`${this.file}.new`, this.file);
  }
}

async function endChild(child: ChildProcess, graceSeconds: number): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return;
  const pid = child.pid;
  const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  child.kill("SIGTERM");
  const timer = setTimeout(() => signal(-pid, "SIGKILL"), graceSeconds * 1_000);
  await ended;
  clearTimeout(timer);
}

/** Field 22 of /proc/PID/stat: when the process started, which with its id names it for good. Undefined when there is none, or when it has ended and nobody has asked how. */
export function startTicksOf(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return fields[0] === "Z" ? undefined : fields[19];
  } catch (error) {
    if (error instanceof Error && "code" in error && (error.code === "ENOENT" || error.code === "ESRCH")) return undefined;
    throw error;
  }
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    // It ended by itself meanwhile.
    if (!(error instanceof Error && "code" in error && error.code === "ESRCH")) throw error;
  }
}

function eachLine(stream: NodeJS.ReadableStream | null, onLine: (line: string) => void): void {
  let rest = "";
  stream?.setEncoding("utf8");
  stream?.on("data", (text: string) => {
    const lines = (rest + text).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) if (line.trim() !== "") onLine(line);
  });
  stream?.on("end", () => rest.trim() !== "" && onLine(rest));
}

function readJson(file: string): unknown {
  try {
    return JSON.parse(readFileSync(file, "utf8"));
  } catch (error) {
    // The file is replaced whole; a broken one was not written by us.
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}

function delay(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
