import { Prisma } from "../../generated/prisma/client.ts";
import type { Command, ProbeResult } from "../../contract/hub-protocol.ts";
import { probeResult } from "../../contract/hub-protocol.ts";
import { type TraceFile, traceFile } from "../../contract/trace-file.ts";
import { announce } from "../db/changes.ts";
import { database } from "../db/client.ts";

export interface CommandRequest {
  readonly gatewayId: string;
  readonly linkId: string | null;
  readonly command: Command;
  /** Who asked, for the record. */
  readonly requestedBy: string;
  readonly timeoutMilliseconds: number;
}

export interface CommandOutcome {
  readonly ok: boolean;
  /** One sentence: what was done, or why not. */
  readonly message: string;
  readonly probe: ProbeResult | null;
  /** For a trace that was asked for as a file; it is kept nowhere after this. */
  readonly traceFile: TraceFile | null;
}

const pollMilliseconds = 100;

/**
 * Has a gateway do something and waits for its answer. The row is what is waited on, so it does not matter which hub holds the
 * gateway. When the wait ends without an answer the row ends with it, so that it is not sent after its caller has gone on. The caller
 * has authorised it.
 */
export async function performGatewayCommand(request: CommandRequest): Promise<CommandOutcome> {
  const db = database();
  const row = await db.$transaction(async (tx) => {
    const { gatewayId, linkId, command, requestedBy } = request;
    const created = await tx.gatewayCommand.create({ data: { gatewayId, linkId, command, requestedBy } });
    await announce(tx, { resource: "command", id: created.id });
    return created;
  });
  const deadline = Date.now() + request.timeoutMilliseconds;
  for (;;) {
    const now = await db.gatewayCommand.findUniqueOrThrow({ where: { id: row.id } });
    if (now.state === "done" || now.state === "failed") {
      const probe = probeResult.safeParse(now.probe);
      return { ok: now.state === "done", message: now.message ?? "", probe: probe.success ? probe.data : null, traceFile: await takeTraceFile(now) };
    }
    // One that was answered at this very moment is read once more.
    if (Date.now() > deadline) await endCommand(row.id, "The gateway did not answer in time.");
    else await pause();
  }
}

async function takeTraceFile(row: { readonly id: string; readonly traceFile: unknown }): Promise<TraceFile | null> {
  if (row.traceFile === null) return null;
  await database().gatewayCommand.update({ where: { id: row.id }, data: { traceFile: Prisma.DbNull } });
  return traceFile.parse(row.traceFile);
}

/** Ends a command that has no answer yet; nothing happens to one that has. */
export async function endCommand(id: string, message: string): Promise<void> {
  const db = database();
  const ended = await db.gatewayCommand.updateMany({
    where: { id, state: { in: ["queued", "sent"] } },
    data: { state: "failed", message, finishedAt: new Date() },
  });
  if (ended.count > 0) await announce(db, { resource: "command", id });
}

function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, pollMilliseconds));
}
