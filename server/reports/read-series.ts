import { z } from "zod";
import { type Actor, authorize } from "../auth/actor.ts";
import { database } from "../db/client.ts";
import { parseInput } from "../parse-input.ts";

export interface SeriesPoint {
  /** Milliseconds: the start of the interval. */
  readonly at: number;
  readonly rxBitsPerSecond: number | null;
  readonly txBitsPerSecond: number | null;
  readonly roundTripMs: number | null;
}

export const ranges = {
  "15m": { seconds: 900, step: 5, resolution: 1 },
  "1h": { seconds: 3_600, step: 20, resolution: 1 },
  "24h": { seconds: 86_400, step: 300, resolution: 60 },
  "7d": { seconds: 604_800, step: 3_600, resolution: 3_600 },
  "30d": { seconds: 2_592_000, step: 14_400, resolution: 3_600 },
} as const;

const rangeName = z.enum(["15m", "1h", "24h", "7d", "30d"]).catch("15m");

/**
 * Throughput and round trip of one link as the gateway at its first end counts them, or of all links together (`linkId` null).
 * An interval without samples is null: a gap, not a zero. The newest interval ends two seconds ago: its reports have come in.
 */
export async function readSeries(actor: Actor, linkId: string | null, range: unknown): Promise<{ points: SeriesPoint[] }> {
  authorize(actor, "read");
  const { seconds, step, resolution } = ranges[parseInput(rangeName, range)];
  const rows = await database().$queryRaw<{ at: Date; rx: number | null; tx: number | null; rtt: number | null }[]>`
    WITH spots AS (
      SELECT generate_series(
        date_bin(make_interval(secs => ${step}::float8), now() - make_interval(secs => ${seconds}::float8), '2000-01-01+00'),
        date_bin(make_interval(secs => ${step}::float8), now() - make_interval(secs => ${step + 2}::float8), '2000-01-01+00'),
        make_interval(secs => ${step}::float8)) AS at
    ), sums AS (
      SELECT date_bin(make_interval(secs => ${step}::float8), s.at, '2000-01-01+00') AS at,
        sum(s."bytesIn")::float8 * 8 / ${step} AS rx, sum(s."bytesOut")::float8 * 8 / ${step} AS tx, avg(s."roundTripMs") AS rtt
      FROM "CounterSample" s JOIN "Link" l ON l.id = s."linkId" JOIN "Gateway" g ON g.id = s."gatewayId" AND g."siteId" = l."siteAId"
      WHERE s."resolutionSeconds" = ${resolution} AND s.at > now() - make_interval(secs => ${seconds + step}::float8) AND (${linkId}::text IS NULL OR s."linkId" = ${linkId})
      GROUP BY 1
    )
    SELECT spots.at, sums.rx, sums.tx, sums.rtt FROM spots LEFT JOIN sums ON sums.at = spots.at ORDER BY spots.at`;
  const points = rows.map((row) => ({ at: row.at.getTime(), rxBitsPerSecond: row.rx, txBitsPerSecond: row.tx, roundTripMs: row.rtt }));
  const first = points.findIndex((point) => point.rxBitsPerSecond !== null);
  return { points: first === -1 ? [] : points };
}
