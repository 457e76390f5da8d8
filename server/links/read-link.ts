import { silenceMilliseconds } from "../../contract/hub-protocol.ts";
import { type Failure, type ObservedIkeSa, observedLink, type TraceEntry } from "../../contract/observed-state.ts";
import { type Actor, authorize } from "../auth/actor.ts";
import { database } from "../db/client.ts";
import { NotFound } from "../errors.ts";
import { type GatewayState, gatewayState } from "../sites/gateway-state.ts";
import { type LinkConfig, linkConfig } from "./link-config.ts";
import { type LinkHalt, linkHalt, withHaltSource } from "./link-halt.ts";
import { linkStatuses, type Tunnel } from "./link-status.ts";

export interface LinkEnd {
  /** null: a third-party peer, of which only the address and the identity are known. */
  readonly siteId: string | null;
  readonly siteName: string;
  readonly gateway: GatewayState | null;
  readonly lastHeardAt: string | null;
  readonly networks: string[];
  readonly address: string | null;
  readonly identity: string;
  readonly ikeSas: ObservedIkeSa[];
  readonly lastFailure: Failure | null;
  readonly roundTripMs: number | null;
  readonly probesSent: number;
  readonly probesAnswered: number;
  /** Whether the gateway took the link's newest configuration. */
  readonly push: { readonly state: "waiting" | "applied" | "refused"; readonly reason: string | null };
}

export interface LinkDetail {
  readonly id: string;
  readonly name: string;
  readonly enabled: boolean;
  readonly tunnel: Tunnel;
  readonly since: string | null;
  readonly reportedAt: string | null;
  readonly version: number;
  readonly preset: string;
  readonly method: "psk" | "certificate";
  /** What most links leave as it is, and changes what passes or when the tunnel is there. */
  readonly choices: Pick<LinkConfig, "mode" | "inactivitySeconds"> & { readonly isAh: boolean };
  readonly ends: LinkEnd[];
  /** Why it cannot come up, when that is because something was revoked. */
  readonly halt: LinkHalt | null;
}

/** A link as it is now: configuration, both ends' live SAs, how far the newest configuration has come. */
export async function readLink(actor: Actor, linkId: string): Promise<LinkDetail> {
  authorize(actor, "read");
  const link = await database().link.findUnique({
    where: { id: linkId },
    include: {
      ...withHaltSource,
      states: true,
    },
  });
  if (link === null) throw new NotFound("There is no such link.");
  const config = linkConfig.parse(link.config);
  const status = (await linkStatuses(database(), [linkId])).get(linkId);
  const now = Date.now();
  const stateOf = (gatewayId: string | undefined) => link.states.find((state) => state.gatewayId === gatewayId);
  const endA = endOf(link.siteA, stateOf(link.siteA.gateway?.id), { networks: config.networksA, identity: config.identityA }, now);
  const endB =
    link.siteB === null
      ? peerEnd(config)
      : endOf(link.siteB, stateOf(link.siteB.gateway?.id), { networks: config.networksB, identity: config.peer.identity }, now);
  const reported = link.states.map((state) => state.reportedAt?.getTime() ?? 0);
  return {
    id: link.id,
    name: link.name,
    enabled: link.enabled,
    tunnel: status?.tunnel ?? "unknown",
    since: status?.since?.toISOString() ?? null,
    reportedAt: reported.some((at) => at > 0) ? new Date(Math.max(...reported)).toISOString() : null,
    version: link.version,
    preset: config.preset,
    method: config.method,
    choices: { isAh: config.ah !== null, mode: config.mode, inactivitySeconds: config.inactivitySeconds },
    ends: [endA, endB],
    halt: linkHalt({ siteA: link.siteA, siteB: link.siteB, peerName: endB.siteName, method: config.method, credentials: link.credentials }),
  };
}

interface SiteRow {
  readonly id: string;
  readonly name: string;
  readonly address: string | null;
  readonly gateway: {
    readonly enrolledAt: Date | null;
    readonly revokedAt: Date | null;
    readonly hubId: string | null;
    readonly lastHeardAt: Date | null;
  } | null;
}

interface StateRow {
  readonly observed: unknown;
  readonly reportedAt: Date | null;
  readonly requiredRevision: number;
  readonly verdictRevision: number;
  readonly verdict: "applied" | "refused" | null;
  readonly verdictReason: string | null;
}

function endOf(site: SiteRow, state: StateRow | undefined, own: { networks: string[]; identity: string }, now: number): LinkEnd {
  const gateway = site.gateway === null ? "never" : gatewayState(site.gateway, now);
  const parsed = observedLink.safeParse(state?.observed);
  // What a gateway said before it fell silent, or before it was told of the link no more, is history: its SAs are not shown as if they were there.
  const isReported = gateway === "connected" && now - (state?.reportedAt?.getTime() ?? 0) <= silenceMilliseconds;
  const observed = parsed.success && isReported ? parsed.data : null;
  const answered = state !== undefined && state.verdictRevision >= state.requiredRevision ? state.verdict : null;
  return {
    siteId: site.id,
    siteName: site.name,
    gateway,
    lastHeardAt: site.gateway?.lastHeardAt?.toISOString() ?? null,
    ...own,
    address: site.address,
    ikeSas: observed?.ikeSas ?? [],
    lastFailure: observed?.lastFailure ?? null,
    roundTripMs: observed?.roundTripMs ?? null,
    probesSent: observed?.probesSent ?? 0,
    probesAnswered: observed?.probesAnswered ?? 0,
    push: { state: answered ?? "waiting", reason: answered === "refused" ? (state?.verdictReason ?? null) : null },
  };
}

function peerEnd(config: LinkConfig): LinkEnd {
  return {
    siteId: null,
    siteName: config.peer.kind === "third-party" ? config.peer.name : "",
    gateway: null,
    lastHeardAt: null,
    networks: config.networksB,
    address: config.peer.kind === "third-party" ? config.peer.address : null,
    identity: config.peer.identity,
    ikeSas: [],
    lastFailure: null,
    roundTripMs: null,
    probesSent: 0,
    probesAnswered: 0,
    push: { state: "applied", reason: null },
  };
}

/** What the form of a saved link is filled with. */
export interface LinkSettings {
  readonly version: number;
  readonly config: LinkConfig;
  readonly nameA: string;
  readonly nameB: string;
}

/** For those who may edit it. */
export async function readLinkSettings(actor: Actor, linkId: string): Promise<LinkSettings> {
  authorize(actor, "edit");
  const link = await database().link.findUnique({
    where: { id: linkId },
    include: { siteA: { select: { name: true } }, siteB: { select: { name: true } } },
  });
  if (link === null) throw new NotFound("There is no such link.");
  const config = linkConfig.parse(link.config);
  const peerName = config.peer.kind === "third-party" ? config.peer.name : "";
  return { version: link.version, config, nameA: link.siteA.name, nameB: link.siteB?.name ?? peerName };
}

export type SitedTraceEntry = TraceEntry & { readonly siteName: string };

/** An empty INFORMATIONAL asks for a sign of life (RFC 7296 §1.4): many a minute, and of no interest while they are answered. */
const livenessChecks = { exchange: "INFORMATIONAL", summary: { endsWith: ": empty" } };

/** The newest 200 trace entries of both ends, oldest first; liveness checks among them only when asked for. */
export async function readTrace(actor: Actor, linkId: string, withLiveness = false): Promise<SitedTraceEntry[]> {
  authorize(actor, "read");
  const rows = await database().traceEntry.findMany({
    where: { linkId, ...(withLiveness ? {} : { NOT: livenessChecks }) },
    orderBy: [{ at: "desc" }, { id: "desc" }],
    take: 200,
    include: { gateway: { select: { site: { select: { name: true } } } } },
  });
  return rows.toReversed().map((row) => ({
    at: row.at.getTime(),
    linkId: row.linkId,
    sequence: row.sequence,
    direction: row.direction,
    exchange: row.exchange,
    messageId: row.messageId === null ? null : Number(row.messageId),
    summary: row.summary,
    detail: typeof row.detail === "object" && row.detail !== null && !Array.isArray(row.detail) ? row.detail : {},
    siteName: row.gateway.site.name,
  }));
}

export interface LinkVersionView {
  readonly version: number;
  readonly at: string;
  readonly actor: string;
  readonly summary: string;
  readonly config: LinkConfig;
}

/** Every version, newest first. */
export async function readVersions(actor: Actor, linkId: string): Promise<LinkVersionView[]> {
  authorize(actor, "read");
  const rows = await database().linkVersion.findMany({ where: { linkId }, orderBy: { version: "desc" }, take: 200 });
  return rows.map((row) => ({
    version: row.version,
    at: row.createdAt.toISOString(),
    actor: row.actorName,
    summary: row.summary,
    config: linkConfig.parse(row.config),
  }));
}
