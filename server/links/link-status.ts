import type { Sql } from "../../generated/prisma/internal/prismaNamespace.ts";
import { empty, sql } from "../../generated/prisma/internal/prismaNamespace.ts";
import type { Transaction } from "../db/client.ts";

/**
 * What the tunnel is, from live SAs alone. `down` is also a link that a gateway reports no more because it is not told of it. `idle`: on demand, and nothing
 * has failed: no packet wants through. `unknown`: a gateway of ours at one of its ends is not heard, so nobody can say.
 */
export type Tunnel = "up" | "negotiating" | "degraded" | "down" | "unknown" | "idle" | "disabled";

export interface LinkStatus {
  readonly id: string;
  readonly tunnel: Tunnel;
  readonly since: Date | null;
}

/** Worst first. */
export const tunnelOrder: readonly Tunnel[] = ["down", "degraded", "unknown", "negotiating", "up", "idle", "disabled"];

/**
 * The one place where a link's tunnel state is decided, as SQL so that lists filter and sort by it in the database: rows of
 * (id, tunnel, since). A gateway counts as heard for 6 s (the hub protocol's silence), a report for 5.
 */
export function linkStatusSql(where: Sql = empty): Sql {
  return sql`
    SELECT link.id,
      CASE
        WHEN NOT link.enabled THEN 'disabled'
        WHEN bool_or(e.withheld) THEN 'down'
        WHEN bool_or(e.heard AND e.state = 'down' AND NOT e.idle) THEN 'down'
        WHEN bool_or(e.heard AND e.state = 'degraded') THEN 'degraded'
        WHEN bool_or(NOT e.heard) THEN 'unknown'
        WHEN bool_and(e.idle) THEN 'idle'
        WHEN bool_and(e.state = 'up') THEN 'up'
        ELSE 'negotiating'
      END AS tunnel,
      CASE WHEN NOT link.enabled THEN link."updatedAt" WHEN bool_or(e.withheld) THEN min(e.refused_at) FILTER (WHERE e.withheld) WHEN bool_or(NOT e.heard) THEN min(e.last_heard) FILTER (WHERE NOT e.heard) ELSE max(e.since) END AS since
    FROM "Link" link
    JOIN LATERAL (
      SELECT st.state, st.since, g."lastHeardAt" AS last_heard, 
        -- What failed before the tunnel was last up is over; a second, because the two times are rounded.
        link.config->>'bringUp' = 'onDemand' AND st.state = 'down'
          AND coalesce((st.observed->'lastFailure'->>'at')::numeric < extract(epoch FROM st.since) * 1000 - 1000, true) AS idle,
        coalesce(g."revokedAt" IS NULL AND g."hubId" IS NOT NULL AND g."lastHeardAt" > now() - interval '6 seconds'
          AND st."reportedAt" > now() - interval '5 seconds' AND st.state IS NOT NULL, false) AS heard,
        -- Told without this link, and its reports no longer have it: what it does not know of is not up. (A report is what lastHeardAt comes of.)
        coalesce(g."revokedAt" IS NULL AND g."hubId" IS NOT NULL AND g."lastHeardAt" > now() - interval '6 seconds'
          AND st.verdict = 'refused' AND st."verdictRevision" >= st."requiredRevision"
          AND (st."reportedAt" IS NULL OR st."reportedAt" < now() - interval '5 seconds'), false) AS withheld,
        st."verdictAt" AS refused_at
      FROM "Gateway" g
      LEFT JOIN "LinkState" st ON st."gatewayId" = g.id AND st."linkId" = link.id
      WHERE g."siteId" = link."siteAId" OR g."siteId" = link."siteBId"
    ) e ON true
    ${where}
    GROUP BY link.id`;
}

/** The states of some links, or of all. */
export async function linkStatuses(tx: Transaction, ids?: readonly string[]): Promise<Map<string, LinkStatus>> {
  const rows = await tx.$queryRaw<LinkStatus[]>(linkStatusSql(ids === undefined ? empty : sql`WHERE link.id = ANY(${[...ids]})`));
  return new Map(rows.map((row) => [row.id, row]));
}
