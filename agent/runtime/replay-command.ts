import { readFileSync } from "node:fs";
import { type Replay, type ReplayedStep, replay } from "../ike/diagnosis/replay.ts";
import { type Verdict, verdict } from "../ike/diagnosis/verdict.ts";
import { type ReadTrace, readTraceFile } from "./trace-file.ts";
import { UsageError } from "./command-line.ts";

export interface ReplayRequest {
  readonly file: string;
  /** The other end's trace; null: none. */
  readonly other: string | null;
  readonly json: boolean;
}

/**
 * `culvert-agent replay`: prints each step anew and the verdict, with the other end's trace also that of both. 0 when the verdict is
 * the one that the trace came to itself, else 1.
 */
export function runReplay({ file, other, json }: ReplayRequest): number {
  const { trace, result } = read(file);
  const both = other === null ? null : verdictOfBoth({ trace, result }, read(other));
  process.stdout.write(json ? `${JSON.stringify({ ...jsonOf(result), ...(other === null ? {} : { both }) }, null, 2)}\n` : formatReplay(trace, result));
  if (other !== null && !json) process.stdout.write(`both ends: ${verdictText(both)}\n`);
  return verdictText(result.verdict) === verdictText(result.recorded) ? 0 : 1;
}

interface ReplayedFile {
  readonly trace: ReadTrace;
  readonly result: Replay;
}

function verdictOfBoth(one: ReplayedFile, other: ReplayedFile): Verdict | null {
  const [a, b] = [one, other].map(({ trace, result }) => ({ name: trace.file.gateway, trace: result.trace }));
  return verdict(a!, b!);
}

function read(file: string): ReplayedFile {
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
    `  this side ${file.link.localIdentity}, IKE ${config.ikeProposals.join(", ")}; ${config.ahProposals === undefined ? `ESP ${config.espProposals.join(", ")}` : `AH ${config.ahProposals.join(", ")}`}`,
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

function verdictText(one: Verdict | null): string {
  return one === null ? "nothing went wrong" : `${one.sentence} (${one.code})`;
}

function jsonOf({ steps, verdict: own, recorded }: Replay) {
  return {
    version: 1,
    verdict: own,
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
