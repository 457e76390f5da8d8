import type { ChildProcess } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type ObservedLink, observedState } from "../../contract/observed-state.ts";
import { removeAtExit } from "../lib/cleanup.ts";
import type { Site } from "../lib/namespaces.ts";

const program = fileURLToPath(new URL("../../agent/main.ts", import.meta.url));

/** A gateway of a site, enrolled with the command that the console showed. */
export interface EnrolledGateway {
  log(): string;
  /** `culvert-agent` with these arguments against the running gateway: its standard output. */
  command(args: readonly string[]): Promise<string>;
  /** As a crash would. */
  kill(): Promise<void>;
  /** Runs it again from what is on its disk. */
  start(): void;
  stop(): Promise<void>;
}

/**
 * Runs the copied command inside the site, then the gateway. All that is added is the way to the hub: from the namespaces there
 * is none but a socket file.
 */
export async function enrolGateway(site: Site, copied: string, hubSocket: string): Promise<EnrolledGateway> {
  const match = /^npx culvert-agent (enrol --hub (\S+) --token (\S+)) && npx culvert-agent run$/.exec(copied.trim());
  if (match === null) throw new Error("the console's command is not the one that its pages promise");
  const directory = mkdtempSync(join(tmpdir(), "culvert-gw-"));
  const state = join(directory, "state");
  mkdirSync(state, { mode: 0o700 });
  await site.run([process.execPath, program, ...(match[1] ?? "").split(" "), "--via", `unix:${hubSocket}`, "--state-dir", state]);
  let output = "";
  let running: ChildProcess | null = null;
  const forget = removeAtExit(`gateway in ${site.name}`, () => running?.kill("SIGKILL"));
  const end = async (signal: "SIGTERM" | "SIGKILL"): Promise<void> => {
    const ending = running;
    running = null;
    if (ending === null || ending.exitCode !== null) return;
    const ended = new Promise<void>((resolve) => ending.once("close", () => resolve()));
    ending.kill(signal);
    await ended;
  };
  const start = () => {
    const child = site.start([process.execPath, program, "run", "--state-dir", state]);
    running = child;
    for (const stream of [child.stdout, child.stderr])
      stream?.on("data", (bytes: Buffer) => {
        output += bytes.toString("utf8");
      });
  };
  start();
  return {
    log: () => output,
    command: (args) => site.run([process.execPath, program, ...args, "--state-dir", state]),
    kill: () => end("SIGKILL"),
    start,
    async stop() {
      await end("SIGTERM");
      forget();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

/** The link as the gateway itself sees it; undefined: it has no such link. */
export async function linkAt(gateway: EnrolledGateway | undefined, linkId: string): Promise<ObservedLink | undefined> {
  const status = observedState.parse(JSON.parse((await gateway?.command(["status", "--json"])) ?? "null"));
  return status.links.find((candidate) => candidate.id === linkId);
}

/** Inbound SPIs of the established Child SAs, as the gateway itself says. */
export async function childSpis(gateway: EnrolledGateway | undefined, linkId: string): Promise<string[]> {
  const ikeSas = (await linkAt(gateway, linkId))?.ikeSas ?? [];
  return ikeSas.flatMap((ike) => ike.childSas.filter((child) => child.state === "established").map((child) => child.inboundSpi)).toSorted();
}
