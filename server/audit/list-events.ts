import { z } from "zod";
import type { EventWhereInput } from "../../generated/prisma/models/Event.ts";
import { type Actor, authorize } from "../auth/actor.ts";
import { database } from "../db/client.ts";
import { parseInput } from "../parse-input.ts";

export interface EventView {
  readonly id: string;
  readonly at: string;
  readonly actor: string;
  readonly kind: string;
  readonly summary: string;
  readonly before: unknown;
  readonly after: unknown;
}

export interface EventPage {
  readonly rows: EventView[];
  readonly total: number;
  readonly page: number;
  readonly pageSize: number;
}

export const eventKinds = ["link", "site", "gateway", "key", "rotation", "user", "system"] as const;

const eventQuery = z.object({
  search: z.string().max(200).catch("").default(""),
  kind: z
    .string()
    .default("")
    .transform((text) => eventKinds.filter((kind) => text.split(",").includes(kind))),
  /** The name as events hold it. */
  actor: z.string().max(200).catch("").default(""),
  /** The id of a link, with its rotations, or of a site, with its gateway; kept by events of what is gone. */
  about: z.string().max(100).catch("").default(""),
  /** Days in UTC, both included. */
  from: z.iso.date().nullable().catch(null).default(null),
  to: z.iso.date().nullable().catch(null).default(null),
  page: z.coerce.number().int().min(1).catch(1).default(1),
});

const pageSize = 50;
const exportChunk = 1_000;
const recentForActors = 20_000;
const dayMilliseconds = 86_400_000;

/** One page of the stream, newest first. `kind` is "link.created": resource and verb. */
export async function listEvents(actor: Actor, query: unknown): Promise<EventPage> {
  authorize(actor, "read");
  const parsed = parseInput(eventQuery, query);
  const where = await whereOf(parsed);
  const [rows, total] = await Promise.all([
    database().event.findMany({ where, orderBy: { id: "desc" }, take: pageSize, skip: (parsed.page - 1) * pageSize }),
    database().event.count({ where }),
  ]);
  return { rows: rows.map(viewOf), total, page: parsed.page, pageSize };
}

/** Every event that matches, newest first, a chunk at a time: an export never holds all of them. */
export async function* exportEvents(actor: Actor, query: unknown): AsyncGenerator<EventView[]> {
  authorize(actor, "read");
  const where = await whereOf(parseInput(eventQuery, query));
  let below: bigint | null = null;
  for (;;) {
    const rows: EventRow[] = await database().event.findMany({
      where: { AND: [where, below === null ? {} : { id: { lt: below } }] },
      orderBy: { id: "desc" },
      take: exportChunk,
    });
    if (rows.length > 0) yield rows.map(viewOf);
    below = rows.at(-1)?.id ?? null;
    if (rows.length < exportChunk) return;
  }
}

/** The newest few, for the overview. */
export async function recentEvents(actor: Actor, count: number): Promise<EventView[]> {
  authorize(actor, "read");
  return (await database().event.findMany({ orderBy: { id: "desc" }, take: count })).map(viewOf);
}

/** Whom events can be filtered by: everybody with an account, and who else acted in the newest events (schedules, gateways). By name. */
export async function listEventActors(actor: Actor): Promise<string[]> {
  authorize(actor, "read");
  const rows = await database().$queryRaw<{ name: string }[]>`
    SELECT name FROM "User" UNION
    SELECT "actorName" FROM (SELECT "actorName" FROM "Event" ORDER BY id DESC LIMIT ${recentForActors}) recent ORDER BY name`;
  return rows.map((row) => row.name);
}

interface EventRow {
  readonly id: bigint;
  readonly at: Date;
  readonly actorName: string;
  readonly resource: string;
  readonly verb: string;
  readonly summary: string;
  readonly before: unknown;
  readonly after: unknown;
}

function viewOf(row: EventRow): EventView {
  return {
    id: String(row.id),
    at: row.at.toISOString(),
    actor: row.actorName,
    kind: `${row.resource}.${row.verb}`,
    summary: row.summary,
    before: row.before ?? null,
    after: row.after ?? null,
  };
}

async function whereOf({ search, kind, actor, about, from, to }: z.output<typeof eventQuery>): Promise<EventWhereInput> {
  return {
    at: {
      ...(from === null ? {} : { gte: new Date(`${from}T00:00:00Z`) }),
      ...(to === null ? {} : { lt: new Date(Date.parse(`${to}T00:00:00Z`) + dayMilliseconds) }),
    },
    ...(kind.length > 0 ? { resource: { in: [...kind] } } : {}),
    ...(actor === "" ? {} : { actorName: actor }),
    ...(about === "" ? {} : { resourceId: { in: await idsAbout(about) } }),
    ...(search === ""
      ? {}
      : {
          OR: [
            { summary: { contains: search, mode: "insensitive" } },
            { actorName: { contains: search, mode: "insensitive" } },
            { resourceName: { contains: search, mode: "insensitive" } },
          ],
        }),
  };
}

/** A link or site, and what belongs to it and has events of its own. */
async function idsAbout(id: string): Promise<string[]> {
  const [gateways, runs, schedules] = await Promise.all([
    database().gateway.findMany({ where: { siteId: id }, select: { id: true } }),
    database().rotationRun.findMany({ where: { linkId: id }, select: { id: true } }),
    database().rotationSchedule.findMany({ where: { linkId: id }, select: { id: true } }),
  ]);
  return [id, ...[...gateways, ...runs, ...schedules].map((row) => row.id)];
}
