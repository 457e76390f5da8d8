import type { RevocationReason } from "../../generated/prisma/enums.ts";
import { type Actor, authorize } from "../auth/actor.ts";
import { database } from "../db/client.ts";

export interface RevokedView {
  /** Hexadecimal. */
  readonly serial: string;
  /** The link and the site it was for, as they were called then; of an early one its subject. */
  readonly name: string;
  readonly reason: RevocationReason;
  readonly revokedAt: string;
  /** Until then it is in its authority's list. */
  readonly notAfter: string;
}

export interface RevokedPage {
  readonly rows: RevokedView[];
  readonly total: number;
}

const most = 100;

/** The newest certificates of the console's own authorities that were taken back and would still count, also those of links that are gone. */
export async function listRevoked(actor: Actor): Promise<RevokedPage> {
  authorize(actor, "read");
  const where = { notAfter: { gt: new Date() } };
  const [rows, total] = await Promise.all([
    database().revokedCertificate.findMany({ where, orderBy: [{ revokedAt: "desc" }, { serial: "asc" }], take: most }),
    database().revokedCertificate.count({ where }),
  ]);
  return {
    rows: rows.map(({ serial, name, subject, reason, revokedAt, notAfter }) => ({
      ...{ serial, reason, name: name ?? subject },
      ...{ revokedAt: revokedAt.toISOString(), notAfter: notAfter.toISOString() },
    })),
    total,
  };
}
