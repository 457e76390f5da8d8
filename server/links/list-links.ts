import { z } from "zod";
import { sql, join, raw, empty } from "../../generated/prisma/internal/prismaNamespace.ts";
import { observedLink } from "../../contract/observed-state.ts";
import { type Actor, authorize } from "../auth/actor.ts";
import { database } from "../db/client.ts";
import { recentRates } from "../reports/recent-rates.ts";
import { parseInput } from "../parse-input.ts";
import { linkConfig } from "./link-config.ts";
import { linkStatusSql, type Tunnel, tunnelOrder } from "./link-status.ts";

/** From a query string: every value a text, unknown ones fall back to the default. */
export const linkQuery = z.object({
  search: z.string().max(200).catch("").default(""),
  state: z
    .string()
    .default("")
    .transform((text) => tunnelOrder.filter((state) => text.split(",").includes(state))),
  sort: z.enum(["state", "name", "rx", "tx", "since"]).catch("state").default("state"),
  direction: z.enum(["ascending", "descending"]).catch("ascending").default("ascending"),
  page: z.coerce.number().int().min(1).catch(1).default(1),
});

export interface LinkRow {
  readonly id: string;
  readonly name: string;
  readonly enabled: boolean;
  readonly tunnel: Tunnel;
  readonly endA: string;
  readonly endB: string;
  readonly rxBitsPerSecond: number | null;
  readonly txBitsPerSecond: number | null;
  readonly since: string | null;
  readonly rekeyAt: number | null;
  readonly keyCreatedAt: string | null;
}

export interface LinkListPage {
  readonly rows: LinkRow[];
  readonly total: number;
  readonly page: number;
  readonly pageSize: number;
  /** Of all links that match the search, by state: what the filter chips say. */
  readonly counts: Partial<Record<Tunnel, number>>;
}

const pageSize = 25;

/** One page of links; search, filter, order and counts are the database's work. */
export async function listLinks(actor: Actor, query: unknown): Promise<LinkListPage> {
  authorize(actor, "read");
  const { search, state, sort, direction, page } = parseInput(linkQuery, query);
  const pattern = `%${search.replaceAll(/[\\%_]/g, "\\$&")}%`;
  const matching = sql`
    WITH status AS (${linkStatusSql()}), matching AS (
      SELECT link.id, link.name, status.tunnel, status.since,
        array_position(${[...tunnelOrder]}::text[], status.tunnel) AS worst
      FROM "Link" link JOIN status ON status.id = link.id
      JOIN "Site" a ON a.id = link."siteAId" LEFT JOIN "Site" b ON b.id = link."siteBId"
      WHERE link.name ILIKE ${pattern} OR a.name ILIKE ${pattern} OR b.name ILIKE ${pattern} OR link.config::text ILIKE ${pattern}
    )`;
  const filter = state.length === 0 ? empty : sql`WHERE tunnel IN (${join(state)})`;
  const descending = raw(direction === "descending" ? "DESC NULLS LAST" : "ASC NULLS LAST");
  const rates = sql`LEFT JOIN (
      SELECT s."linkId", sum(s."bytesIn") AS rx, sum(s."bytesOut") AS tx FROM "CounterSample" s JOIN "Link" l ON l.id = s."linkId"
      JOIN "Gateway" g ON g.id = s."gatewayId" AND g."siteId" = l."siteAId"
      WHERE s."resolutionSeconds" = 1 AND s.at > now() - interval '6 seconds' GROUP BY 1) rate ON rate."linkId" = matching.id`;
  const order = {
    state: sql`worst ${descending}`,
    name: sql`lower(name) ${descending}`,
    rx: sql`rx ${descending}`,
    tx: sql`tx ${descending}`,
    since: sql`since ${descending}`,
  }[sort];
  const [found, counted] = await Promise.all([
    database().$queryRaw<{ id: string; tunnel: Tunnel; since: Date | null }[]>(
      sql`${matching} SELECT id, tunnel, since FROM matching ${sort === "rx" || sort === "tx" ? rates : empty} ${filter} ORDER BY ${order}, lower(name) LIMIT ${pageSize} OFFSET ${(page - 1) * pageSize}`,
    ),
    database().$queryRaw<{ tunnel: Tunnel; count: bigint }[]>(sql`${matching} SELECT tunnel, count(*) AS count FROM matching GROUP BY tunnel`),
  ]);
  const counts = Object.fromEntries(counted.map((row) => [row.tunnel, Number(row.count)]));
  const total = tunnelOrder.reduce((sum, each) => sum + (state.length === 0 || state.includes(each) ? (counts[each] ?? 0) : 0), 0);
  return { rows: await rowsOf(found), total, page, pageSize, counts };
}

/** Names for pickers and the command palette. */
export async function listLinkNames(actor: Actor): Promise<{ id: string; name: string }[]> {
  authorize(actor, "read");
  return database().link.findMany({ select: { id: true, name: true }, orderBy: { name: "asc" }, take: 2_000 });
}

async function rowsOf(found: readonly { id: string; tunnel: Tunnel; since: Date | null }[]): Promise<LinkRow[]> {
  const ids = found.map((row) => row.id);
  const [links, rates] = await Promise.all([
    database().link.findMany({
      where: { id: { in: ids } },
      include: {
        siteA: { select: { name: true } },
        siteB: { select: { name: true } },
        states: { select: { observed: true } },
        credentials: { where: { state: "active" }, orderBy: { createdAt: "asc" }, select: { createdAt: true } },
      },
    }),
    recentRates(database(), ids),
  ]);
  const byId = new Map(links.map((link) => [link.id, link]));
  return found.flatMap(({ id, tunnel, since }) => {
    const link = byId.get(id);
    if (link === undefined) return [];
    const config = linkConfig.parse(link.config);
    const rate = rates.get(id);
    return [
      {
        id,
        name: link.name,
        enabled: link.enabled,
        tunnel,
        endA: link.siteA.name,
        endB: link.siteB?.name ?? (config.peer.kind === "third-party" ? config.peer.name : ""),
        rxBitsPerSecond: rate?.rxBitsPerSecond ?? null,
        txBitsPerSecond: rate?.txBitsPerSecond ?? null,
        since: since?.toISOString() ?? null,
        rekeyAt: tunnel === "up" || tunnel === "degraded" ? nextRekey(link.states.map((each) => each.observed)) : null,
        keyCreatedAt: link.credentials[0]?.createdAt.toISOString() ?? null,
      },
    ];
  });
}

function nextRekey(observed: readonly unknown[]): number | null {
  const times = observed.flatMap((value) => {
    const parsed = observedLink.safeParse(value);
    return parsed.success ? parsed.data.ikeSas.flatMap((sa) => sa.childSas.map((child) => child.rekeyAt)) : [];
  });
  const known = times.filter((time) => time !== null);
  return known.length > 0 ? Math.min(...known) : null;
}
