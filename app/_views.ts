import type { Failure, ObservedIkeSa } from "../contract/observed-state.ts";

export type At = number | string;
export type Tunnel = "up" | "negotiating" | "degraded" | "down" | "unknown" | "disabled";
export type GatewayState = "connected" | "disconnected" | "never" | "revoked";

export interface SiteListItem {
  id: string;
  name: string;
  networks: string[];
  address: string | null;
  linkCount: number;
  gateway: GatewayView;
}
export interface GatewayView {
  state: GatewayState;
  lastHeardAt: At | null;
  hostname: string | null;
  address: string | null;
  version: string | null;
  plane: string | null;
  planeReason: string | null;
  certificate: { fingerprint: string; notAfter: At } | null;
}
export interface SiteDetail extends SiteListItem {
  links: { id: string; name: string; tunnel: Tunnel }[];
}
export interface LinkRow {
  id: string;
  name: string;
  enabled: boolean;
  tunnel: Tunnel;
  endA: string;
  endB: string;
  rxBitsPerSecond: number | null;
  txBitsPerSecond: number | null;
  since: At | null;
  rekeyAt: At | null;
  keyCreatedAt: At | null;
}
export interface LinkListPage {
  rows: LinkRow[];
  total: number;
  page: number;
  pageSize: number;
  counts: Partial<Record<Tunnel, number>>;
}
export interface LinkEnd {
  siteId: string | null;
  siteName: string;
  gateway: GatewayState | null;
  lastHeardAt: At | null;
  networks: string[];
  address: string | null;
  identity: string;
  ikeSas: ObservedIkeSa[];
  lastFailure: Failure | null;
  roundTripMs: number | null;
  probesSent: number;
  probesAnswered: number;
  /** pushed → applied | refused for the link's current version */
  push: { state: "waiting" | "applied" | "refused"; reason: string | null };
}
export interface LinkDetail {
  id: string;
  name: string;
  enabled: boolean;
  tunnel: Tunnel;
  since: At | null;
  /** When the newest report came; older than 3 report intervals makes the tunnel unknown. */
  reportedAt: At | null;
  version: number;
  preset: string;
  method: "psk" | "certificate";
  ends: LinkEnd[];
}
export interface LinkPreview {
  siteName: string;
  before: unknown;
  after: unknown;
}
export interface LinkVersion {
  version: number;
  at: At;
  actor: string;
  summary: string;
  config: unknown;
  current: boolean;
}
export interface EventView {
  id: string;
  at: At;
  actor: string;
  kind: string;
  summary: string;
  before: unknown;
  after: unknown;
}
export interface EventPage {
  rows: EventView[];
  total: number;
  page: number;
  pageSize: number;
}
export interface Overview {
  links: Partial<Record<Tunnel, number>>;
  gateways: Partial<Record<GatewayState, number>>;
  attention: {
    href: string;
    name: string;
    state: Tunnel | GatewayState | "expiring" | "expired" | "failed";
    sentence: string;
    since: At | null;
  }[];
  throughput: { at: number; rxBitsPerSecond: number | null; txBitsPerSecond: number | null }[];
  expiring: { id: string; name: string; expiresAt: At }[];
  recent: EventView[];
}
export interface KeyView {
  id: string;
  kind: "psk" | "certificate" | "authority";
  name: string;
  fingerprint: string;
  createdAt: At;
  expiresAt: At | null;
  state: "valid" | "expiring" | "expired" | "revoked";
  usedBy: { href: string; name: string }[];
  replaceable: boolean;
}
export interface ScheduleView {
  id: string;
  name: string;
  kind: "psk" | "certificate";
  linkId: string | null;
  linkName: string | null;
  cron: string;
  timeZone: string;
  paused: boolean;
  nextRunAt: At | null;
}
export interface RotationRun {
  id: string;
  linkName: string;
  dryRun: boolean;
  outcome: "waiting" | "running" | "succeeded" | "failed" | "skipped";
  sentence: string;
  startedAt: At;
  steps: { name: string; outcome: "waiting" | "running" | "succeeded" | "failed" | "skipped"; message: string }[];
}
export interface RotationsPage {
  schedules: ScheduleView[];
  runs: RotationRun[];
}
export interface UserView {
  id: string;
  name: string;
  email: string;
  role: "owner" | "operator" | "viewer";
  disabled: boolean;
  twoFactorEnabled: boolean;
  createdAt: At;
}
