import type { InputJsonValue } from "../../generated/prisma/internal/prismaNamespace.ts";
import type { Transaction } from "../db/client.ts";
import { announce } from "../db/changes.ts";

export type EventResource = "link" | "site" | "key" | "rotation" | "user" | "gateway" | "system";

export interface EventInput {
  readonly resource: EventResource;
  readonly resourceId: string | null;
  readonly resourceName: string | null;
  /** Past tense, one word: "created", "rekeyed", "down". */
  readonly verb: string;
  /** null: the system itself, or a gateway named in `actorName`. */
  readonly actorId: string | null;
  readonly actorName: string;
  /** One sentence for people. */
  readonly summary: string;
  /** JSON before and after; no secret may be in them. */
  readonly before?: InputJsonValue | null;
  readonly after?: InputJsonValue | null;
}

/** Writes one entry of the event stream in the transaction of what it tells about. */
export async function recordEvent(tx: Transaction, event: EventInput): Promise<void> {
  const { before, after, ...rest } = event;
  const row = await tx.event.create({ data: { ...rest, ...(before ? { before } : {}), ...(after ? { after } : {}) } });
  await announce(tx, { resource: "event", id: String(row.id) });
}
