import { readFileSync } from "node:fs";
import { type Replay, type ReplayedStep, replay } from "../ike/diagnosis/replay.ts";
import type { Verdict } from "../ike/diagnosis/verdict.ts";
import { type ReadTrace, readTraceFile } from "./trace-file.ts";
import { UsageError } from "./command-line.ts";

/** `culvert-agent replay`: prints each step anew and the verdict. 1 when it is another than the trace came to itself. */
export function runReplay({ file, json }: { readonly file: string; readonly json: boolean }): number {
  const { trace, result } = read(file);
  process.stdout.write(json ? `${JSON.stringify(jsonOf(result), null, 2)}\n` : formatReplay(trace, result));
  return verdictText(result.verdict) === verdictText(result.recorded) ? 0 : 1;
}

function read(file: string): { readonly trace: ReadTrace; readonly result: Replay } {
  try {
    const trace = readTraceFile(readFileSync(file, "utf8"));
    return { trace, result: replay(trace.config, trace.records) };
  } catch (error) {
    if (error instanceof RangeError || (error instanceof Error && "code" in error)) throw new UsageError(`${file} cannot be replayed: ${error.message}`);
    throw error;
  }
}

/** What `culvert-agent replay` prints. */
export function formatReplay({ file, config }: ReadTrace, result: Replay): string {
  const lines = [
    `trace of link "${file.link.id}" at ${file.gateway}, exported ${new Date(file.exportedAt).toISOString()} by agent ${file.agentVersion}`,
    `  this side ${file.link.localIdentity}, IKE ${config.ikeProposals.join(", ")}; ESP ${config.espProposals.join(", ")}`,
    "",
    ...result.steps.flatMap(formatStep),
    "",
    `verdict: ${verdictText(result.verdict)}`,
  ];
  if (verdictText(result.recorded) !== verdictText(result.verdict)) lines.push(`the trace itself says: ${verdictText(result.recorded)}`);
  return `${lines.join("\n")}\n`;
}

const ARROWS = { sent: "→", received: "←", local: "·" } as const;

/** Messages, and what followed from them. Of what was only noted along the way nothing is shown. */
function formatStep({ record, conclusions }: ReplayedStep): string[] {
  if (record.direction === "local" && conclusions.length === 0) return [];
  const message = record.direction === "local" ? [] : [`${new Date(record.at).toISOString()} ${ARROWS[record.direction]} ${record.summary}`];
  return [
    ...message,
    ...conclusions.map((one) => `    ${one.isRecorded === true ? "recorded: " : ""}${one.failure === null ? "" : `${one.failure.code}: `}${one.sentence}`),
  ];
}

function verdictText(verdict: Verdict | null): string {
  return verdict === null ? "nothing went wrong" : `${verdict.sentence} (${verdict.code})`;
}

function jsonOf({ steps, verdict, recorded }: Replay): unknown {
  return {
    version: 1,
    verdict,
    recorded,
    steps: steps.map(({ record, conclusions }) => ({
      at: record.at,
      direction: record.direction,
      exchange: record.exchange,
      messageId: record.messageId,
      summary: record.summary,
      conclusions: conclusions.map((one) => ({ code: one.failure?.code ?? null, sentence: one.sentence, isRecorded: one.isRecorded === true })),
    })),
  };
}
