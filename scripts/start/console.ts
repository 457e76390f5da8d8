import { get } from "node:http";
import { join } from "node:path";
import { freePort } from "../../server/db/free-port.ts";
import { childEnvironment, root } from "../setup.mjs";
import type { Processes } from "./processes.ts";

export interface ChildOptions {
  readonly processes: Processes;
  /** Settings of server/ (DATABASE_URL, CULVERT_…). */
  readonly env: Readonly<Record<string, string>>;
  readonly onLine: (line: string) => void;
  readonly onUnexpectedEnd: (sentence: string) => void;
}

/** Starts the built console on a loopback port and waits until it answers. Returns the port; speaks HTTP. */
export async function startConsole(options: ChildOptions, port?: number): Promise<number> {
  const chosen = port ?? (await freePort());
  const env = childEnvironment({ ...options.env, NODE_ENV: "production", HOSTNAME: "127.0.0.1", PORT: String(chosen) });
  options.processes.start("the console", [process.execPath, join(root, ".next/standalone/server.js")], { ...options, env });
  await untilAnswering(chosen);
  return chosen;
}

/** Starts the hub and waits until it says that it listens. */
export function startHub(options: ChildOptions): Promise<void> {
  const env = childEnvironment({ ...options.env, NODE_ENV: "production" });
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error("The hub did not listen within 30 s.")), 30_000);
    options.processes.start("the hub", [process.execPath, join(root, "server/hub/main.ts")], {
      env,
      onLine(line) {
        options.onLine(line);
        if (!line.includes("hub ready")) return;
        clearTimeout(timer);
        resolve();
      },
      onUnexpectedEnd(sentence) {
        clearTimeout(timer);
        reject(new Error(sentence));
        options.onUnexpectedEnd(sentence);
      },
    });
  });
}

async function untilAnswering(port: number): Promise<void> {
  const deadline = performance.now() + 30_000;
  while (!(await answers(port))) {
    if (performance.now() > deadline) throw new Error("The console did not answer within 30 s.");
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    get({ host: "127.0.0.1", port, path: "/healthz", timeout: 5_000 }, (answer) => {
      answer.resume();
      resolve((answer.statusCode ?? 500) < 500);
    })
      .once("timeout", () => resolve(false))
      .once("error", () => resolve(false));
  });
}
