import type { Credential } from "../../generated/prisma/client.ts";
import { type Actor, authorize } from "../auth/actor.ts";
import { database } from "../db/client.ts";

export interface KeyView {
  readonly id: string;
  readonly kind: "psk" | "certificate" | "authority";
  readonly name: string;
  readonly fingerprint: string;
  readonly createdAt: string;
  readonly expiresAt: string | null;
  /** withdrawn: a pre-shared key that no gateway is told any more, because one that has it was revoked. */
  readonly state: "valid" | "staged" | "retiring" | "expiring" | "expired" | "revoked" | "withdrawn";
  readonly usedBy: { readonly href: string; readonly name: string }[];
  /** The link whose keys "Replace" rotates; null: it renews by itself. */
  readonly linkId: string | null;
  /** A link certificate in use that the console's own authority issued. */
  readonly isRevocable: boolean;
  /** A link certificate that was revoked, whose end waits for a new one. */
  readonly isReissuable: boolean;
  /** A certificate of another authority, which an admin imported. */
  readonly isImported: boolean;
}

const sites = { siteA: { include: { gateway: true } }, siteB: { include: { gateway: true } } } as const;
const soonMilliseconds = 21 * 86_400_000;

/** Every key and certificate that is not retired, soonest expiry first. No secret is read. */
export async function listKeys(actor: Actor): Promise<KeyView[]> {
  authorize(actor, "read");
  const [credentials, certificates, authorities, imports] = await Promise.all([
    database().credential.findMany({ where: { state: { not: "retired" }, importId: null }, include: { link: { include: sites } } }),
    database().gatewayCertificate.findMany({
      where: { revokedAt: null },
      include: { gateway: { include: { site: true } } },
      orderBy: { createdAt: "desc" },
      distinct: ["gatewayId"],
    }),
    database().authority.findMany(),
    database().importedCertificate.findMany({
      include: { credentials: { where: { state: { not: "retired" } }, select: { link: { select: { id: true, name: true } } } } },
    }),
  ]);
  // Without a tunnel there is nothing to replace a key under.
  const lapsed = new Set(credentials.filter(({ state, revokedAt }) => state === "active" && revokedAt !== null).map(({ linkId }) => linkId));
  const keys: KeyView[] = [
    ...credentials.map((row): KeyView => {
      const isWithdrawn = row.kind === "psk" && row.link.siteB !== null && [row.link.siteA, row.link.siteB].some(({ gateway }) => gateway?.revokedAt != null);
      const end = row.end === "A" ? row.link.siteA.name : row.end === "B" ? row.link.siteB?.name : undefined;
      return {
        id: row.id,
        kind: row.kind,
        name: end === undefined ? row.link.name : `${row.link.name}, ${end}`,
        fingerprint: row.fingerprint,
        createdAt: row.createdAt.toISOString(),
        expiresAt: row.notAfter?.toISOString() ?? null,
        state: stateOf(row, isWithdrawn),
        usedBy: [{ href: `/links/${row.linkId}`, name: row.link.name }],
        linkId: row.state === "active" && !lapsed.has(row.linkId) && !isWithdrawn ? row.linkId : null,
        isRevocable: row.state === "active" && row.kind === "certificate" && row.revokedAt === null,
        isReissuable: row.state === "active" && row.revokedAt !== null && (row.end === "A" ? row.link.siteA : row.link.siteB)?.gateway?.revokedAt == null,
        isImported: false,
      };
    }),
    ...certificates.map(
      (row): KeyView => ({
        id: row.id,
        kind: "certificate",
        name: `Gateway of ${row.gateway.site.name}`,
        fingerprint: row.fingerprint,
        createdAt: row.createdAt.toISOString(),
        expiresAt: row.notAfter.toISOString(),
        state: stateAt(row.notAfter),
        usedBy: [{ href: `/sites/${row.gateway.siteId}`, name: row.gateway.site.name }],
        linkId: null,
        isRevocable: false,
        isReissuable: false,
        isImported: false,
      }),
    ),
    ...authorities.map(
      (row): KeyView => ({
        id: row.id,
        kind: "authority",
        name: row.name,
        fingerprint: row.fingerprint,
        createdAt: row.createdAt.toISOString(),
        expiresAt: row.notAfter.toISOString(),
        state: stateAt(row.notAfter),
        usedBy: [],
        linkId: null,
        isRevocable: false,
        isReissuable: false,
        isImported: false,
      }),
    ),
    ...imports.map(
      (row): KeyView => ({
        id: row.id,
        kind: "certificate",
        name: row.name,
        fingerprint: row.fingerprint,
        createdAt: row.createdAt.toISOString(),
        expiresAt: row.notAfter.toISOString(),
        state: stateAt(row.notAfter),
        usedBy: row.credentials.map(({ link }) => ({ href: `/links/${link.id}`, name: link.name })),
        linkId: null,
        isRevocable: false,
        isReissuable: false,
        isImported: true,
      }),
    ),
  ];
  return keys.toSorted((a, b) => (a.expiresAt ?? "9999").localeCompare(b.expiresAt ?? "9999") || a.name.localeCompare(b.name));
}

function stateOf(row: Pick<Credential, "state" | "revokedAt" | "notAfter">, isWithdrawn: boolean): KeyView["state"] {
  if (row.revokedAt !== null) return "revoked";
  if (isWithdrawn) return "withdrawn";
  if (row.state === "active") return stateAt(row.notAfter);
  return row.state === "staged" ? "staged" : "retiring";
}

function stateAt(notAfter: Date | null): "valid" | "expiring" | "expired" {
  if (notAfter === null) return "valid";
  const left = notAfter.getTime() - Date.now();
  return left <= 0 ? "expired" : left < soonMilliseconds ? "expiring" : "valid";
}
