import type { TraceEntry } from "../../contract/observed-state.ts";
import type { InputJsonValue } from "../../generated/prisma/internal/prismaNamespace.ts";
import { announce } from "../db/changes.ts";
import { database } from "../db/client.ts";

/** Stores a gateway's trace entries (redacted where they were made). Entries of links deleted meanwhile are kept without the link. */
export async function ingestTrace(gatewayId: string, entries: readonly TraceEntry[]): Promise<void> {
  const linkIds = [...new Set(entries.map((entry) => entry.linkId).filter((id) => id !== null))];
  await database().$transaction(async (tx) => {
    const known = new Set((await tx.link.findMany({ where: { id: { in: linkIds } }, select: { id: true } })).map((link) => link.id));
    await tx.traceEntry.createMany({
      data: entries.map((entry) => ({
        gatewayId,
        linkId: entry.linkId !== null && known.has(entry.linkId) ? entry.linkId : null,
        at: new Date(entry.at),
        sequence: entry.sequence,
        direction: entry.direction,
        exchange: entry.exchange,
        messageId: entry.messageId,
        summary: entry.summary,
        detail: entry.detail as InputJsonValue,
      })),
    });
    await announce(tx, ...[...known].map((id) => ({ resource: "trace", id }) as const));
  });
}
