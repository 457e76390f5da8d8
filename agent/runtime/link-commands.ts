import type { DesiredLink } from "../../contract/desired-state.ts";
import type { Command, ProbeResult } from "../../contract/hub-protocol.ts";
import type { TraceEntry } from "../../contract/observed-state.ts";
import type { TraceFile } from "../../contract/trace-file.ts";
import type { LinkConfig } from "../ike/endpoint-types.ts";
import type { Prober } from "./probe.ts";
import { buildTraceFile, type TraceFileParts } from "./trace-file.ts";
import type { TraceLog } from "./trace-log.ts";

/** What came of a command, for whoever gave it. */
export interface CommandResult {
  readonly ok: boolean;
  readonly message: string;
  readonly probe?: ProbeResult;
  readonly trace?: TraceEntry[];
  readonly traceFile?: TraceFile;
}

/** What is said of a command that the engine has taken, before the link's id. */
export const takenSentences = {
  up: "Bringing up link",
  down: "Taking down link",
  restart: "Restarting link",
  rekey: "Rekeying link",
  reauthenticate: "Authenticating anew on link",
} as const;

/** Sends a series of echoes through the link. */
export async function probeLink(prober: Prober, { id, probe }: DesiredLink, command: Extract<Command, { name: "probe" }>): Promise<CommandResult> {
  if (probe === undefined) return { ok: false, message: `Link "${id}" has no probe addresses.` };
  try {
    const result = await prober.series(probe.source, probe.target, command);
    return { ok: result.received > 0, message: `${result.received} of ${result.sent} echoes answered.`, probe: result };
  } catch (error) {
    return { ok: false, message: `The probe could not be sent: ${error instanceof Error ? error.message : String(error)}.` };
  }
}

/** The link's latest steps, or what a file for a replay holds; `config` null: the link is not running. */
export function traceLink(
  traces: TraceLog,
  { linkId, limit, file }: Extract<Command, { name: "trace" }>,
  config: LinkConfig | null,
  about: Pick<TraceFileParts, "gateway" | "agentVersion" | "exportedAt">,
): CommandResult {
  const message = "The latest steps, oldest first.";
  if (file !== true) return { ok: true, message, trace: traces.of(linkId, limit) };
  if (config === null) return { ok: false, message: `Link "${linkId}" is not running: it has no trace to export.` };
  return { ok: true, message, traceFile: buildTraceFile({ ...about, config, entries: traces.forFile(linkId, limit) }) };
}
