import type { ChildProcess } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { stringify } from "yaml";
import { z } from "zod";
import type { SiteFileInput } from "../../contract/site-file.ts";
import type { Command } from "../../contract/hub-protocol.ts";
import {
  observedState,
  traceEntry,
  type ObservedChildSa,
  type ObservedIkeSa,
  type ObservedLink,
  type ObservedState,
  type TraceEntry,
} from "../../contract/observed-state.ts";
import { removeAtExit } from "./cleanup.ts";
import type { Site } from "./namespaces.ts";
import { pollUntil } from "./poll.ts";
import { runCommand } from "./run-command.ts";
import { agentNodeFlags } from "../../scripts/setup.mjs";
import { parseWhole } from "../../contract/parse-whole.ts";

const sources = fileURLToPath(new URL("../../agent/main.ts", import.meta.url));

/** Our gateway running in a site, from a configuration file and without a console. */
export interface Agent {
  status(): Promise<ObservedState>;
  link(id: string): Promise<ObservedLink>;
  /** Sends a command over the control socket; throws with the agent's sentence when it refuses. */
  command(command: Command): Promise<string>;
  rekey(linkId: string, what: "ike" | "child" | "all"): Promise<string>;
  up(linkId: string): Promise<string>;
  down(linkId: string): Promise<string>;
  /** What the command line prints: `culvert-agent <args> --socket …`. Throws when it fails. */
  commandLine(args: readonly string[]): Promise<string>;
  trace(linkId: string): Promise<TraceEntry[]>;
  /** Replaces the configuration file and has the agent read it again; throws with the agent's lines when it refuses. */
  configure(config: SiteFileInput): Promise<void>;
  /** Polls until `accept` returns something for the link, and returns that. Throws after the deadline with the link as it then was. */
  waitForLink<T>(linkId: string, what: string, accept: (link: ObservedLink) => T | undefined, timeoutMilliseconds?: number): Promise<T>;
  /** Waits until the link is up with a Child SA, and returns both SAs. */
  waitUntilUp(linkId: string, timeoutMilliseconds?: number): Promise<{ ike: ObservedIkeSa; child: ObservedChildSa }>;
  /** What it wrote to standard output and error. */
  log(): string;
  /** Ends it in an orderly way: it deletes its SAs with the peers. */
  stop(): Promise<void>;
  /** Ends it as a crash would. */
  kill(): Promise<void>;
}

export interface StartOptions {
  /** More variables for its environment. */
  readonly env?: Record<string, string>;
  /** What to run: absent the sources, or the bundle that set-up has made of them. */
  readonly program?: string;
}

/**
 * Starts the gateway in a site and waits until it answers.
 * @param directory an existing directory of its own (short: the socket lies in it). State left there by an earlier run is used.
 */
export async function startAgent(site: Site, directory: string, config: SiteFileInput, { env = {}, program = sources }: StartOptions = {}): Promise<Agent> {
  const paths = { config: join(directory, "site.yaml"), state: join(directory, "state"), socket: join(directory, "agent.sock") };
  mkdirSync(paths.state, { recursive: true, mode: 0o700 });
  writeFileSync(paths.config, textOf(config), { mode: 0o600 });
  const argv = [process.execPath, ...agentNodeFlags, program, "run", "--config", paths.config, "--state-dir", paths.state, "--socket", paths.socket];
  const agent = new RunningAgent(site.start(argv, { env }), site.name, paths);
  await agent.ready(config.links.map((link) => link.id));
  return agent;
}

/** Whoever has that many links has a program write them. */
function textOf(config: SiteFileInput): string {
  return config.links.length > 100 ? JSON.stringify(config) : stringify(config);
}

const answer = z.object({ ok: z.boolean(), message: z.string(), value: z.unknown() });

class RunningAgent implements Agent {
  private readonly process: ChildProcess;
  private readonly socket: string;
  private readonly configFile: string;
  private readonly forget: () => void;
  private readonly ended: Promise<void>;
  private output = "";

  constructor(process: ChildProcess, where: string, paths: { readonly socket: string; readonly config: string }) {
    this.process = process;
    this.socket = paths.socket;
    this.configFile = paths.config;
    this.forget = removeAtExit(`agent in ${where}`, () => process.kill("SIGKILL"));
    this.ended = new Promise((resolve) => process.once("close", () => resolve()));
    for (const stream of [process.stdout, process.stderr]) {
      stream?.on("data", (bytes: Buffer) => {
        this.output += bytes.toString("utf8");
      });
    }
  }

  /** Waits until it answers and has taken on its links; one that is refused is never reported, so that shows here. */
  async ready(linkIds: readonly string[]): Promise<void> {
    let refusal = "";
    // Reading hundreds of modules takes a second on an idle machine, and ten on one that ten others share.
    await pollUntil(
      "the agent to answer on its control socket",
      40_000,
      async () => {
        if (this.process.exitCode !== null) throw new Error(`the agent ended with ${this.process.exitCode}\n${this.output}`);
        try {
          const { links } = await this.status();
          refusal = `It reports the links [${links.map((link) => link.id).join(", ")}]`;
          return linkIds.every((id) => links.some((link) => link.id === id)) ? true : undefined;
        } catch (error) {
          refusal = error instanceof Error ? error.message : String(error);
          return undefined;
        }
      },
      () => `${refusal}\n${this.output}`,
    );
  }

  async status(): Promise<ObservedState> {
    return parseWhole(observedState, await this.ask({ kind: "status" }));
  }

  async link(id: string): Promise<ObservedLink> {
    const link = (await this.status()).links.find((candidate) => candidate.id === id);
    if (link === undefined) throw new Error(`the agent does not report a link ${id}`);
    return link;
  }

  async command(command: Command): Promise<string> {
    const { message } = await this.request({ kind: "command", command });
    return message;
  }

  rekey(linkId: string, what: "ike" | "child" | "all"): Promise<string> {
    return this.command({ name: "rekey", linkId, what });
  }

  up(linkId: string): Promise<string> {
    return this.command({ name: "up", linkId });
  }

  down(linkId: string): Promise<string> {
    return this.command({ name: "down", linkId });
  }

  commandLine(args: readonly string[]): Promise<string> {
    return runCommand([process.execPath, sources, ...args, "--socket", this.socket]);
  }

  async trace(linkId: string): Promise<TraceEntry[]> {
    const value = await this.ask({ kind: "command", command: { name: "trace", linkId, limit: 1_000 } });
    return parseWhole(z.array(traceEntry), z.object({ trace: z.unknown() }).parse(value).trace);
  }

  async configure(config: SiteFileInput): Promise<void> {
    writeFileSync(this.configFile, stringify(config), { mode: 0o600 });
    await this.request({ kind: "reload" });
  }

  waitForLink<T>(linkId: string, what: string, accept: (link: ObservedLink) => T | undefined, timeoutMilliseconds = 10_000): Promise<T> {
    let last: ObservedLink | undefined;
    return pollUntil(
      `${linkId}: ${what}`,
      timeoutMilliseconds,
      async () => {
        last = await this.link(linkId);
        return accept(last);
      },
      () => `The link is ${JSON.stringify(last)}`,
    );
  }

  waitUntilUp(linkId: string, timeoutMilliseconds = 10_000): Promise<{ ike: ObservedIkeSa; child: ObservedChildSa }> {
    const accept = (link: ObservedLink) => {
      const ike = link.ikeSas.find((sa) => sa.state === "established" && sa.childSas.some((child) => child.state === "established"));
      const child = ike?.childSas.find((candidate) => candidate.state === "established");
      return link.state === "up" && ike !== undefined && child !== undefined ? { ike, child } : undefined;
    };
    return this.waitForLink(linkId, "to be up", accept, timeoutMilliseconds);
  }

  log(): string {
    return this.output;
  }

  async stop(): Promise<void> {
    this.process.kill("SIGTERM");
    const timer = setTimeout(() => this.process.kill("SIGKILL"), 6_000);
    await this.ended;
    clearTimeout(timer);
    this.forget();
  }

  async kill(): Promise<void> {
    this.process.kill("SIGKILL");
    await this.ended;
    this.forget();
  }

  private async ask(request: unknown): Promise<unknown> {
    return (await this.request(request)).value;
  }

  private async request(request: unknown): Promise<z.infer<typeof answer>> {
    const line = await exchangeLine(this.socket, JSON.stringify(request));
    const read = answer.parse(JSON.parse(line));
    if (!read.ok) throw new Error(`the agent refused: ${read.message}`);
    return read;
  }
}

/** Sends one line to a Unix socket and returns the line that comes back. */
function exchangeLine(path: string, line: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const connection = connect(path);
    const failed = (error: Error) => {
      connection.destroy();
      reject(error);
    };
    connection.setTimeout(20_000, () => failed(new Error("the agent's control socket gave no answer for 20 s")));
    connection.once("error", failed);
    connection.once("connect", () => connection.write(`${line}\n`));
    let received = "";
    connection.on("data", (bytes: Buffer) => {
      received += bytes.toString("utf8");
      if (!received.endsWith("\n")) return;
      connection.end();
      resolve(received);
    });
    connection.once("end", () => failed(new Error("the agent closed its control socket without an answer")));
  });
}
