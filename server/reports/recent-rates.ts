import type { Transaction } from "../db/client.ts";

export interface Rate {
  readonly rxBitsPerSecond: number;
  readonly txBitsPerSecond: number;
}

/** Throughput of the last five whole seconds as the gateway at each link's first end counts it. Links without samples are absent. */
export async function recentRates(tx: Transaction, linkIds: readonly string[]): Promise<Map<string, Rate>> {
  if (linkIds.length === 0) return new Map();
  const rows = await tx.$queryRaw<{ linkId: string; rx: number; tx: number }[]>`
    SELECT s."linkId" AS "linkId", sum(s."bytesIn")::float8 * 8 / 5 AS rx, sum(s."bytesOut")::float8 * 8 / 5 AS tx
    FROM "CounterSample" s JOIN "Link" l ON l.id = s."linkId" JOIN "Gateway" g ON g.id = s."gatewayId" AND g."siteId" = l."siteAId"
    WHERE s."resolutionSeconds" = 1 AND s.at > now() - interval '6 seconds' AND s.at <= now() - interval '1 second' AND s."linkId" = ANY(${[...linkIds]})
    GROUP BY s."linkId"`;
  return new Map(rows.map((row) => [row.linkId, { rxBitsPerSecond: row.rx, txBitsPerSecond: row.tx }]));
}
