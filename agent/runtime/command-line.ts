import { parseArgs } from "node:util";
import { join } from "node:path";
import type { Command } from "../../contract/hub-protocol.ts";

/** What the command line asks for. */
export type Invocation =
  | { readonly kind: "help" | "version" | "schema" }
  | { readonly kind: "check"; readonly config: string }
  | { readonly kind: "preflight"; readonly configs: readonly [string, string]; readonly linkId: string | null; readonly json: boolean }
  | { readonly kind: "replay"; readonly file: string; readonly other: string | null; readonly json: boolean }
  | { readonly kind: "run"; readonly config: string | null; readonly stateDir: string; readonly socket: string }
  | { readonly kind: "enrol"; readonly hub: string; readonly token: string; readonly via: string | null; readonly stateDir: string }
  | { readonly kind: "status"; readonly socket: string; readonly json: boolean }
  | { readonly kind: "reload"; readonly socket: string }
  | { readonly kind: "command"; readonly command: Command; readonly socket: string; readonly json: boolean };

/** The command line is not understood; the message says how to put it right. */
export class UsageError extends Error {}

export const usage = `culvert-agent: IPsec gateway of a Culvert site

  culvert-agent run --config site.yaml            run from a file, without a console
  culvert-agent enrol --hub https://HOST:PORT --token TOKEN
  culvert-agent run                               run from the console, after enrol
  culvert-agent check --config site.yaml          read the file, report every problem, change nothing
  culvert-agent preflight a.yaml b.yaml [--link LINK]
                                                  what two ends would agree on, or why not; nothing is sent
  culvert-agent replay trace.json [other.json]    decode and decide a recorded negotiation again, step by step;
                                                  with the other end's trace a verdict that names both
  culvert-agent schema                            print the JSON Schema of the file

  culvert-agent status                            what every link is doing
  culvert-agent up|down|restart LINK
  culvert-agent rekey LINK [--ike|--child]        new keys without a gap (both by default)
  culvert-agent reauthenticate LINK               authenticate anew, make before break
  culvert-agent probe LINK [--count N]            echoes through the tunnel
  culvert-agent trace LINK [--count N]            the negotiation, step by step; with --json as a file for replay
  culvert-agent reload                            read the file again (as SIGHUP does)

  --state-dir DIR   where this gateway keeps its state (default /var/lib/culvert-agent)
  --socket PATH     control socket (default DIR/agent.sock with --state-dir, else /run/culvert-agent.sock)
  --via unix:PATH   reach the hub through a Unix socket
  --json            machine-readable answer of status, trace, preflight, replay and the commands
  --version, --help

Several agents run on one machine when each has its own --state-dir (or --socket), tunName and ports or network namespace.
"run" needs root or CAP_NET_ADMIN, CAP_NET_RAW and CAP_NET_BIND_SERVICE: it makes a TUN device, sets routes and opens UDP 500 and 4500.
Exit codes: 0 done, 1 failed (preflight: the link would not work; replay: another verdict than recorded), 2 the configuration or the command line is wrong.
`;

const options = {
  config: { type: "string" },
  "state-dir": { type: "string" },
  socket: { type: "string" },
  hub: { type: "string" },
  token: { type: "string" },
  link: { type: "string" },
  via: { type: "string" },
  count: { type: "string" },
  json: { type: "boolean" },
  ike: { type: "boolean" },
  child: { type: "boolean" },
  version: { type: "boolean" },
  help: { type: "boolean", short: "h" },
} as const;

type Values = ReturnType<typeof parse>["values"];

/** Throws UsageError. `environment` may give CULVERT_SOCKET and CULVERT_TOKEN (kept out of the process list). */
export function parseCommandLine(args: readonly string[], environment: Readonly<Record<string, string | undefined>>): Invocation {
  const { values, positionals } = parse(args);
  if (values.help === true || args.length === 0) return { kind: "help" };
  if (values.version === true) return { kind: "version" };
  const [verb = values.config === undefined ? "" : "run", linkId, ...rest] = positionals;
  const tooMany = verb === "preflight" || verb === "replay" ? rest[1] : rest[0];
  if (tooMany !== undefined) throw new UsageError(`"${tooMany}" is one argument too many`);
  const stateDir = values["state-dir"] ?? "/var/lib/culvert-agent";
  const socket =
    values.socket ?? environment["CULVERT_SOCKET"] ?? (values["state-dir"] === undefined ? "/run/culvert-agent.sock" : join(stateDir, "agent.sock"));
  const json = values.json ?? false;
  switch (verb) {
    case "help":
    case "schema":
      return { kind: verb };
    case "check":
      return { kind: "check", config: required(values.config, "check --config site.yaml") };
    case "preflight": {
      const form = "preflight a.yaml b.yaml";
      return { kind: "preflight", configs: [required(linkId, form), required(rest[0], form)], linkId: values.link ?? null, json };
    }
    case "replay":
      return { kind: "replay", file: required(linkId, "replay trace.json"), other: rest[0] ?? null, json };
    case "run":
      return { kind: "run", config: values.config ?? null, stateDir, socket };
    case "enrol":
    case "enroll":
      return {
        kind: "enrol",
        hub: required(values.hub, "enrol --hub https://HOST:PORT"),
        token: required(values.token ?? environment["CULVERT_TOKEN"], "enrol --token TOKEN"),
        via: values.via ?? null,
        stateDir,
      };
    case "status":
      return { kind: "status", socket, json };
    case "reload":
      return { kind: "reload", socket };
    default:
      return { kind: "command", command: toCommand(verb, linkId, values), socket, json };
  }
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({ args: [...args], options, allowPositionals: true, strict: true });
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

function toCommand(verb: string, linkId: string | undefined, values: Values): Command {
  const link = (): string => required(linkId, `${verb} LINK`);
  switch (verb) {
    case "up":
    case "down":
    case "restart":
    case "reauthenticate":
      return { name: verb, linkId: link() };
    case "rekey": {
      const what = values.ike === values.child ? "all" : values.ike === true ? "ike" : "child";
      return { name: "rekey", linkId: link(), what };
    }
    case "probe":
      return { name: "probe", linkId: link(), count: wholeNumber(values.count ?? "5"), intervalMilliseconds: 200, payloadBytes: 56 };
    case "trace":
      return { name: "trace", linkId: link(), limit: traceLimit(values.count), ...(values.json === true ? { file: true } : {}) };
    default:
      throw new UsageError(`"${verb}" is not a command; culvert-agent --help lists them`);
  }
}

function traceLimit(count: string | undefined): number {
  const limit = wholeNumber(count ?? "200");
  if (limit <= 1_000) return limit;
  throw new UsageError(`--count takes a number from 1 to 1000 with trace, not "${count}"`);
}

function wholeNumber(text: string): number {
  if (/^[1-9][0-9]{0,3}$/.test(text)) return Number(text);
  throw new UsageError(`--count takes a number from 1 to 9999, not "${text}"`);
}

function required(value: string | undefined, form: string): string {
  if (value === undefined || value === "") throw new UsageError(`something is missing: culvert-agent ${form}`);
  return value;
}
