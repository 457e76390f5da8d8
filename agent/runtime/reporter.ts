import { availableParallelism } from "node:os";
import type { Failure, ObservedChildSa, ObservedIkeSa, ObservedLink, ObservedState, TunnelState } from "../../contract/observed-state.ts";
import { addDrops, type DataPlane, noDrops, type SaCounters } from "../dataplane/data-plane.ts";
import type { ChildSaSnapshot, IkeSaSnapshot, LinkSnapshot } from "../ike/endpoint-types.ts";
import type { ProbeState } from "./link-probes.ts";
import { formatSelector } from "./prefix.ts";

/** Losses in a row from which on a link that is up counts as degraded. */
const LOST_PROBES_DEGRADED = 3;

export interface LinkToReport {
  readonly id: string;
  readonly enabled: boolean;
  /** Why the link is held back; null: it is with the engine. */
  readonly heldReason: string | null;
  /** A route that could not be set. */
  readonly routeFault: string | null;
  /** Its own device; absent: it has none. */
  readonly device?: string | undefined;
  readonly children: readonly { readonly name: string }[];
  readonly probe: ProbeState;
}

export interface ReportInputs {
  readonly at: number;
  readonly revision: number;
  readonly agentVersion: string;
  readonly startedAt: number;
  readonly plane: DataPlane | null;
  readonly links: readonly LinkToReport[];
  readonly snapshots: ReadonlyMap<string, LinkSnapshot>;
  /** When each disabled or held link got into that state. */
  readonly idleSince: ReadonlyMap<string, number>;
  readonly settingsRefusal: string | null;
}

/** What this gateway is doing now, from live SAs and never from configuration. */
export function buildReport(inputs: ReportInputs): ObservedState {
  const { plane } = inputs;
  return {
    at: Math.floor(inputs.at),
    revision: inputs.revision,
    agentVersion: inputs.agentVersion,
    startedAt: Math.floor(inputs.startedAt),
    plane: plane?.capabilities.name ?? "none",
    planeReason: plane?.capabilities.reason ?? "no configuration yet",
    processors: availableParallelism(),
    ...workersOf(plane),
    ...(inputs.settingsRefusal === null ? {} : { settingsRefusal: inputs.settingsRefusal }),
    links: inputs.links.map((link) => reportLink(link, inputs)),
    drops: plane === null ? noDrops : plane.globalDrops(),
    memoryBytes: process.memoryUsage.rss(),
  };
}

function workersOf(plane: DataPlane | null): Pick<ObservedState, "workers"> {
  const { outboundWorkers: outbound, inboundWorkers: inbound } = plane?.capabilities ?? {};
  return outbound === undefined || inbound === undefined ? {} : { workers: { inbound, outbound } };
}

function reportLink(link: LinkToReport, inputs: ReportInputs): ObservedLink {
  const snapshot = inputs.snapshots.get(link.id);
  const since = snapshot?.since ?? inputs.idleSince.get(link.id) ?? inputs.startedAt;
  return {
    id: link.id,
    state: tunnelStateOf(link, snapshot),
    since: Math.floor(since),
    ...(link.device === undefined ? {} : { interface: link.device }),
    ikeSas: (snapshot?.ikeSas ?? []).map((sa) => reportIkeSa(sa, inputs.plane)),
    lastFailure: failureOf(link, snapshot, since),
    roundTripMs: link.probe.roundTripMs,
    probesSent: link.probe.sent,
    probesAnswered: link.probe.answered,
  };
}

/** A link is only up when every configured child has an SA, its routes are set and its probes come back. */
export function tunnelStateOf(link: LinkToReport, snapshot: LinkSnapshot | undefined): TunnelState {
  if (!link.enabled) return "disabled";
  if (snapshot === undefined) return "down";
  if (snapshot.state !== "up") return snapshot.state;
  const established = new Set(
    snapshot.ikeSas.flatMap((sa) => sa.children.filter((child) => child.state === "established" || child.state === "rekeying").map((child) => child.name)),
  );
  const isMissingChild = link.children.some((child) => !established.has(child.name));
  const isSilent = link.probe.lostInARow >= LOST_PROBES_DEGRADED;
  return isMissingChild || isSilent || link.routeFault !== null ? "degraded" : "up";
}

function failureOf(link: LinkToReport, snapshot: LinkSnapshot | undefined, since: number): Failure | null {
  if (link.heldReason !== null) return { at: Math.floor(since), code: "REFUSED", sentence: link.heldReason };
  if (link.routeFault !== null) return { at: Math.floor(since), code: "ROUTE", sentence: link.routeFault };
  if (snapshot?.lastFailure != null) return { ...snapshot.lastFailure, at: Math.floor(snapshot.lastFailure.at) };
  if (link.probe.fault !== null) return { at: Math.floor(since), code: "PROBE", sentence: link.probe.fault };
  return null;
}

function reportIkeSa(sa: IkeSaSnapshot, plane: DataPlane | null): ObservedIkeSa {
  return {
    state: sa.state,
    role: sa.role,
    spiI: hex(sa.spiI, 16),
    spiR: hex(sa.spiR, 16),
    suite: sa.suite,
    postQuantum: sa.postQuantum,
    localEndpoint: formatEndpoint(sa.local),
    remoteEndpoint: formatEndpoint(sa.remote),
    remoteIdentity: sa.remoteIdentity,
    credentialId: sa.credentialId,
    nat: sa.nat,
    establishedAt: instant(sa.establishedAt),
    rekeyAt: instant(sa.rekeyAt),
    pathMtu: sa.pathMtu,
    childSas: sa.children.map((child) => reportChildSa(child, plane)),
  };
}

function reportChildSa(child: ChildSaSnapshot, plane: DataPlane | null): ObservedChildSa {
  const inbound = plane?.querySa("inbound", child.inboundSpi) ?? noCounters;
  const outbound = plane?.querySa("outbound", child.outboundSpi) ?? noCounters;
  return {
    name: child.name,
    state: child.state,
    inboundSpi: hex(child.inboundSpi, 8),
    outboundSpi: hex(child.outboundSpi, 8),
    suite: child.suite,
    protocol: child.protocol,
    mode: child.mode,
    encapsulation: child.encapsulation,
    localNetworks: child.localSelectors.map(formatSelector),
    remoteNetworks: child.remoteSelectors.map(formatSelector),
    installedAt: Math.floor(child.installedAt),
    rekeyAt: instant(child.rekeyAt),
    expiresAt: instant(child.expiresAt),
    closesAt: instant(child.closesAt),
    ...(child.worker === null ? {} : { worker: child.worker }),
    bytesIn: inbound.bytes,
    bytesOut: outbound.bytes,
    packetsIn: inbound.packets,
    packetsOut: outbound.packets,
    drops: addDrops(inbound.drops, outbound.drops),
  };
}

const noCounters: SaCounters = { packets: 0, bytes: 0, drops: noDrops, lastUsedAt: 0 };

function instant(at: number | null): number | null {
  return at === null ? null : Math.floor(at);
}

function hex(value: bigint | number, digits: number): string {
  return value.toString(16).padStart(digits, "0");
}

function formatEndpoint(endpoint: { readonly address: string; readonly port: number }): string {
  return endpoint.address.includes(":") ? `[${endpoint.address}]:${endpoint.port}` : `${endpoint.address}:${endpoint.port}`;
}
