import { execFile } from "node:child_process";

export interface CommandResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * Runs a program to its end and returns how it ended, whatever its exit code.
 * @throws when it cannot be started, or is not done within `timeoutMilliseconds` (it is then killed).
 */
export function tryCommand(
  argv: readonly string[],
  options: { timeoutMilliseconds?: number; env?: Record<string, string>; input?: string } = {},
): Promise<CommandResult> {
  const [program, ...args] = argv;
  if (program === undefined) throw new Error("no program given");
  const timeout = options.timeoutMilliseconds ?? 20_000;
  return new Promise((resolve, reject) => {
    const child = execFile(
      program,
      args,
      { timeout, killSignal: "SIGKILL", maxBuffer: 64 * 1024 * 1024, env: { ...process.env, ...options.env } },
      (error, stdout, stderr) => {
        if (error === null) resolve({ code: 0, stdout, stderr });
        else if (typeof error.code === "number") resolve({ code: error.code, stdout, stderr });
        else if (error.killed) reject(new Error(`${argv.join(" ")}: not done after ${timeout} ms\n${stdout}${stderr}`));
        else reject(error);
      },
    );
    if (options.input !== undefined) child.stdin?.end(options.input);
  });
}

/**
 * Runs a program that is expected to succeed.
 * @returns what it wrote to standard output.
 * @throws with its output when it exits with anything but 0.
 */
export async function runCommand(argv: readonly string[], options: Parameters<typeof tryCommand>[1] = {}): Promise<string> {
  const result = await tryCommand(argv, options);
  if (result.code !== 0) throw new Error(`${argv.join(" ")}: exit code ${result.code}\n${result.stdout}${result.stderr}`.trim());
  return result.stdout;
}
