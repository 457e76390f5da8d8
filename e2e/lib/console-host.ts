import type { ChildProcess } from "node:child_process";
import { createInterface } from "node:readline";
import { removeAtExit } from "./cleanup.ts";
import type { Site } from "./namespaces.ts";
import { pollUntil } from "./poll.ts";
import type { CommandResult } from "./run-command.ts";

/* A host with a kernel of its own that is spoken to over its console: a line is a number and a command, the answer another one (console-loop.sh). */

export interface LoneKernelHost extends Pick<Site, "try"> {
  run(argv: readonly string[], options?: { timeoutMilliseconds?: number }): Promise<string>;
  /** Starts a program that stays; what it writes is in the log. */
  launch(command: string): Promise<void>;
  /** The process that is this host. */
  readonly process: ChildProcess;
  log(): string;
  /** Ends it. */
  kill(): Promise<void>;
}

/** Runs commands in a host that console-loop.sh is the last program of. */
export class ConsoleHost implements LoneKernelHost {
  readonly #what: string;
  readonly process: ChildProcess;
  readonly #waiting = new Map<number, (result: CommandResult) => void>();
  readonly #lines: string[] = [];
  readonly #ended: Promise<void>;
  #last = 0;
  #isUp = false;

  private constructor(what: string, child: ChildProcess) {
    this.#what = what;
    this.process = child;
    const forget = removeAtExit(`${what}, process ${child.pid}`, () => this.#end());
    child.once("close", forget);
    this.#ended = new Promise((resolve) => child.once("exit", () => resolve()));
    if (child.stdout !== null) createInterface(child.stdout).on("line", (line) => this.#read(line));
  }

  /** Once it says that it is up. `child`: its console is the child's standard input and output. @throws Error with what it has written. */
  static async over(what: string, child: ChildProcess, longestMilliseconds = 40_000): Promise<ConsoleHost> {
    const host = new ConsoleHost(what, child);
    await pollUntil(
      `${what} to be up`,
      longestMilliseconds,
      async () => {
        if (child.exitCode !== null) throw new Error(`${what} ended with ${child.exitCode}\n${host.log()}`);
        return host.#isUp ? true : undefined;
      },
      () => host.log(),
    );
    return host;
  }

  async try(argv: readonly string[], options: { timeoutMilliseconds?: number } = {}): Promise<CommandResult> {
    const number = ++this.#last;
    const command = Buffer.from(argv.map((word) => `'${word.replaceAll("'", "'\\''")}'`).join(" ")).toString("base64");
    let timer: NodeJS.Timeout | undefined;
    const answer = new Promise<CommandResult>((resolve, reject) => {
      const timeout = options.timeoutMilliseconds ?? 20_000;
      timer = setTimeout(() => reject(new Error(`in ${this.#what}, ${argv.join(" ")}: not done after ${timeout} ms\n${this.log()}`)), timeout);
      this.#waiting.set(number, resolve);
    });
    this.process.stdin?.write(`${number} ${command}\n`);
    return answer.finally(() => clearTimeout(timer));
  }

  async run(argv: readonly string[], options: { timeoutMilliseconds?: number } = {}): Promise<string> {
    const { code, stdout } = await this.try(argv, options);
    if (code !== 0) throw new Error(`in ${this.#what}, ${argv.join(" ")}: exit code ${code}\n${stdout}`);
    return stdout;
  }

  async launch(command: string): Promise<void> {
    await this.run(["bash", "-c", `${command} >/dev/console 2>&1 </dev/null &`]);
  }

  async kill(): Promise<void> {
    this.#end();
    await this.#ended;
  }

  /** It runs its own processes as some of this machine's, in a group that it leads: without their host they would stay, and hold its console open. */
  #end(): void {
    const { pid } = this.process;
    if (pid === undefined) return;
    for (const id of [-pid, pid]) {
      try {
        process.kill(id, "SIGKILL");
      } catch (error) {
        // It has ended, or has not made its group yet.
        if (!(error instanceof Error && "code" in error && error.code === "ESRCH")) throw error;
      }
    }
  }

  log(): string {
    return this.#lines.join("\n");
  }

  #read(text: string): void {
    const line = text.trimEnd();
    const [, number, code = "1", output = ""] = /^@@ (\d+) (\d+) ?(\S*)$/.exec(line) ?? [];
    if (number === undefined) this.#lines.push(line);
    else if (number === "0") this.#isUp = true;
    else this.#waiting.get(Number(number))?.({ code: Number(code), stdout: Buffer.from(output, "base64").toString("utf8"), stderr: "" });
  }
}
