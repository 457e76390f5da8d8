import { type EventView, recentEvents } from "../audit/list-events.ts";
import { type Actor, authorize } from "../auth/actor.ts";
import { database } from "../db/client.ts";
import { observedLink } from "../../contract/observed-state.ts";
import { listKeys } from "../keys/list-keys.ts";
import { linkConfig } from "../links/link-config.ts";
import { linkHalt, withHaltSource } from "../links/link-halt.ts";
import { type LinkStatus, linkStatuses, type Tunnel, tunnelOrder } from "../links/link-status.ts";
import { readSeries, type SeriesPoint } from "../reports/read-series.ts";
import { listSites } from "../sites/list-sites.ts";

export interface Attention {
  readonly href: string;
  readonly name: string;
  readonly state: Tunnel | "disconnected" | "expiring" | "expired" | "failed";
  readonly sentence: string;
  readonly since: string | null;
}

export interface OverviewView {
  readonly links: Partial<Record<Tunnel, number>>;
  /** How far the setting up has come: sites, and those whose gateway has been enrolled. */
  readonly sites: { readonly total: number; readonly enrolled: number };
  readonly attention: Attention[];
  readonly throughput: SeriesPoint[];
  readonly expiring: { readonly id: string; readonly name: string; readonly expiresAt: string }[];
  readonly recent: EventView[];
}

const attentionCount = 20;
const horizonMilliseconds = 90 * 86_400_000;

/** What the first page shows: counts, what needs a person (worst first), throughput, what expires, what changed. */
export async function readOverview(actor: Actor): Promise<OverviewView> {
  authorize(actor, "read");
  const [statuses, sites, keys, series, recent, failedRuns] = await Promise.all([
    linkStatuses(database()),
    listSites(actor),
    listKeys(actor),
    readSeries(actor, null, "15m"),
    recentEvents(actor, 8),
    database().rotationRun.findMany({
      where: { state: "failed", finishedAt: { gt: new Date(Date.now() - 86_400_000) } },
      orderBy: { finishedAt: "desc" },
      take: 5,
    }),
  ]);
  const links: Partial<Record<Tunnel, number>> = {};
  for (const status of statuses.values()) links[status.tunnel] = (links[status.tunnel] ?? 0) + 1;
  const attention: Attention[] = [
    ...(await troubledLinks([...statuses.values()])),
    ...sites
      .filter((site) => site.gateway.state === "disconnected")
      .map(
        (site): Attention => ({
          href: `/sites/${site.id}`,
          name: site.name,
          state: "disconnected",
          sentence: "The gateway is not connected to the console. Its tunnels run on from disk.",
          since: site.gateway.lastHeardAt,
        }),
      ),
    ...failedRuns.map(
      (run): Attention => ({
        href: "/rotations",
        name: run.linkName,
        state: "failed",
        sentence: run.sentence,
        since: run.finishedAt?.toISOString() ?? null,
      }),
    ),
    // Gateway certificates renew by themselves: only an expired one needs a person.
    ...keys.flatMap((key): Attention[] =>
      key.state === "expired" || (key.state === "expiring" && key.linkId !== null)
        ? [
            {
              href: "/keys",
              name: key.name,
              state: key.state,
              sentence: key.state === "expired" ? "Replace it: peers refuse it." : "Replace it before it expires.",
              since: null,
            },
          ]
        : [],
    ),
  ];
  const expiring = keys.flatMap((key) =>
    key.expiresAt !== null && Date.parse(key.expiresAt) < Date.now() + horizonMilliseconds ? [{ id: key.id, name: key.name, expiresAt: key.expiresAt }] : [],
  );
  const enrolled = sites.filter((site) => site.gateway.state !== "never").length;
  return {
    links,
    sites: { total: sites.length, enrolled },
    attention: attention.slice(0, attentionCount),
    throughput: series.points,
    expiring: expiring.slice(0, 8),
    recent,
  };
}

async function troubledLinks(statuses: readonly LinkStatus[]): Promise<Attention[]> {
  const troubled = statuses
    .filter((status) => status.tunnel === "down" || status.tunnel === "degraded" || status.tunnel === "unknown")
    .toSorted((a, b) => tunnelOrder.indexOf(a.tunnel) - tunnelOrder.indexOf(b.tunnel))
    .slice(0, attentionCount);
  const rows = await database().link.findMany({
    where: { id: { in: troubled.map((status) => status.id) } },
    include: { ...withHaltSource, states: { select: { observed: true } } },
  });
  const byId = new Map(rows.map((row) => [row.id, row]));
  return troubled.flatMap((status) => {
    const row = byId.get(status.id);
    if (row === undefined) return [];
    return [
      {
        href: `/links/${row.id}`,
        name: row.name,
        state: status.tunnel,
        sentence:
          haltOf(row) ??
          sentenceOf(
            status.tunnel,
            row.states.map((state) => state.observed),
          ),
        since: status.since?.toISOString() ?? null,
      },
    ];
  });
}

/** What was taken back that the link needs: its gateways may not know of it any more. */
function haltOf(link: Omit<Parameters<typeof linkHalt>[0], "peerName" | "method"> & { readonly config: unknown }): string | null {
  const { method, peer } = linkConfig.parse(link.config);
  return linkHalt({ ...link, method, peerName: peer.kind === "third-party" ? peer.name : (link.siteB?.name ?? "") })?.sentence ?? null;
}

function sentenceOf(tunnel: Tunnel, observed: readonly unknown[]): string {
  if (tunnel === "unknown") return "A gateway of this link is not heard, so its state cannot be told.";
  const failures = observed.flatMap((value) => {
    const parsed = observedLink.safeParse(value);
    return parsed.success && parsed.data.lastFailure !== null ? [parsed.data.lastFailure] : [];
  });
  const newest = failures.toSorted((a, b) => b.at - a.at)[0];
  return newest?.sentence ?? (tunnel === "degraded" ? "Part of its traffic is not protected by a Child SA." : "The gateways report no reason.");
}
