import { type Actor, authorize } from "../auth/actor.ts";
import { database } from "../db/client.ts";
import { NotFound } from "../errors.ts";
import { linkStatuses, type Tunnel } from "../links/link-status.ts";
import { type GatewayState, gatewayState } from "./gateway-state.ts";

export interface GatewayView {
  readonly state: GatewayState;
  readonly lastHeardAt: string | null;
  readonly hostname: string | null;
  /** Where its connection comes from. */
  readonly address: string | null;
  readonly version: string | null;
  readonly plane: string | null;
  readonly planeReason: string | null;
  /** Processors of its machine; null: not known, as of a gateway that has not reported or whose agent is too old to have workers. */
  readonly processors: number | null;
  /** Threads that protect packets. `running` null: it has not reported any, or the kernel does it. */
  readonly workers: { readonly wanted: WorkerCounts; readonly running: WorkerCounts | null; readonly refusal: string | null };
  readonly certificate: { readonly fingerprint: string; readonly notAfter: string } | null;
}

export interface WorkerCounts {
  readonly outbound: number;
  readonly inbound: number;
}

export interface SiteListItem {
  readonly id: string;
  readonly name: string;
  readonly networks: string[];
  readonly address: string | null;
  readonly linkCount: number;
  readonly gateway: GatewayView;
}

export interface SiteDetail extends SiteListItem {
  readonly links: { readonly id: string; readonly name: string; readonly tunnel: Tunnel }[];
}

const include = {
  networks: { orderBy: { position: "asc" } },
  gateway: { include: { certificates: { where: { revokedAt: null }, orderBy: { createdAt: "desc" }, take: 1 } } },
  _count: { select: { linksA: true, linksB: true } },
} as const;

export async function listSites(actor: Actor): Promise<SiteListItem[]> {
  authorize(actor, "read");
  const sites = await database().site.findMany({ include, orderBy: { name: "asc" } });
  const now = Date.now();
  return sites.map((site) => itemOf(site, now));
}

export async function readSite(actor: Actor, siteId: string): Promise<SiteDetail> {
  authorize(actor, "read");
  const site = await database().site.findUnique({ where: { id: siteId }, include });
  if (site === null) throw new NotFound("There is no such site.");
  const links = await database().link.findMany({
    where: { OR: [{ siteAId: siteId }, { siteBId: siteId }] },
    select: { id: true, name: true },
    orderBy: { name: "asc" },
  });
  const statuses = await linkStatuses(
    database(),
    links.map((link) => link.id),
  );
  return { ...itemOf(site, Date.now()), links: links.map((link) => ({ ...link, tunnel: statuses.get(link.id)?.tunnel ?? "unknown" })) };
}

interface SiteRow {
  readonly id: string;
  readonly name: string;
  readonly address: string | null;
  readonly networks: readonly { readonly prefix: string }[];
  readonly _count: { readonly linksA: number; readonly linksB: number };
  readonly gateway:
    | (Parameters<typeof gatewayState>[0] & {
        readonly hostname: string | null;
        readonly remoteAddress: string | null;
        readonly agentVersion: string | null;
        readonly plane: string | null;
        readonly planeReason: string | null;
        readonly processors: number | null;
        readonly outboundWorkers: number;
        readonly inboundWorkers: number;
        readonly runningOutbound: number | null;
        readonly runningInbound: number | null;
        readonly settingsRefusal: string | null;
        readonly certificates: readonly { readonly fingerprint: string; readonly notAfter: Date }[];
      })
    | null;
}

function itemOf(site: SiteRow, now: number): SiteListItem {
  const { gateway } = site;
  const certificate = gateway?.certificates[0];
  return {
    id: site.id,
    name: site.name,
    networks: site.networks.map((network) => network.prefix),
    address: site.address,
    linkCount: site._count.linksA + site._count.linksB,
    gateway: {
      state: gateway === null ? "never" : gatewayState(gateway, now),
      lastHeardAt: gateway?.lastHeardAt?.toISOString() ?? null,
      hostname: gateway?.hostname ?? null,
      address: gateway?.remoteAddress ?? null,
      version: gateway?.agentVersion ?? null,
      plane: gateway?.plane ?? null,
      planeReason: gateway?.planeReason ?? null,
      processors: gateway?.processors ?? null,
      workers: workersOf(gateway),
      certificate: certificate === undefined ? null : { fingerprint: certificate.fingerprint, notAfter: certificate.notAfter.toISOString() },
    },
  };
}

function workersOf(gateway: SiteRow["gateway"]): GatewayView["workers"] {
  const wanted = { outbound: gateway?.outboundWorkers ?? 1, inbound: gateway?.inboundWorkers ?? 1 };
  const { runningOutbound: outbound, runningInbound: inbound } = gateway ?? {};
  const running = outbound == null || inbound == null ? null : { outbound, inbound };
  return { wanted, running, refusal: gateway?.settingsRefusal ?? null };
}
