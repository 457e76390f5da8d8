import { spawn } from "node:child_process";
import { rmSync } from "node:fs";

/** What a stage of the test run counted. A stage that could not run at all is one failure, with the reason. */
export interface Counts {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

export const nothing: Counts = { passed: 0, failed: 0, skipped: 0 };

export function add(a: Counts, b: Counts): Counts {
  return { passed: a.passed + b.passed, failed: a.failed + b.failed, skipped: a.skipped + b.skipped };
}

/** The closing line of a test run. With `strict`, as in CI, a skipped test counts as failed. */
export function closingLine(counts: Counts, strict: boolean): string {
  if (strict) return `${counts.passed} passed, ${counts.failed + counts.skipped} failed`;
  return `${counts.passed} passed, ${counts.failed} failed${counts.skipped === 0 ? "" : `, ${counts.skipped} skipped`}`;
}

const running = new Set<number>();

/**
 * Runs a program in a process group of its own with its output streamed to ours, and resolves to its exit code (128 and more for
 * a signal). What it leaves running in its group is killed when it ends.
 */
export function runInGroup(
  program: string,
  args: readonly string[],
  options: { readonly env?: NodeJS.ProcessEnv; readonly timeoutSeconds?: number } = {},
): Promise<number> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: ["ignore", "inherit", "inherit"], env: options.env ?? process.env, detached: true });
    const group = child.pid;
    if (group !== undefined) running.add(group);
    const timer = setTimeout(
      () => {
        process.stdout.write(`not done after ${options.timeoutSeconds} s: ending it\n`);
        killGroup(group, "SIGTERM");
        setTimeout(() => killGroup(group, "SIGKILL"), 8_000).unref();
      },
      (options.timeoutSeconds ?? 3_000) * 1_000,
    );
    const done = () => {
      clearTimeout(timer);
      killGroup(group, "SIGKILL");
      if (group !== undefined) running.delete(group);
    };
    child.once("error", (error) => {
      done();
      reject(error);
    });
    child.once("exit", (code, signal) => {
      done();
      resolve(signal === null ? (code ?? 1) : 128);
    });
  });
}

/** Ends every group that still runs: SIGTERM, so that each can clean up what it made, and SIGKILL when it does not. */
export async function endRunningGroups(): Promise<void> {
  for (const group of running) killGroup(group, "SIGTERM");
  for (let waited = 0; waited < 80 && running.size > 0; waited += 1) await new Promise((resolve) => setTimeout(resolve, 100));
  for (const group of running) killGroup(group, "SIGKILL");
}

function killGroup(group: number | undefined, signal: NodeJS.Signals): void {
  if (group === undefined) return;
  try {
    process.kill(-group, signal);
  } catch (error) {
    // Nothing of the group is left: what we wanted.
    if (!(error instanceof Error && "code" in error && (error.code === "ESRCH" || error.code === "EPERM"))) throw error;
  }
}

/** Removes a result file of an earlier run, so that a crashed stage cannot be counted by it. */
export function forgetResult(file: string): void {
  rmSync(file, { force: true });
}
