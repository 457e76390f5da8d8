import type { Authentication } from "../../contract/desired-state.ts";
import type { Transaction } from "../db/client.ts";
import { ensureAuthority } from "../keys/authority.ts";
import { openSecret } from "../secrets/store.ts";

/**
 * What one end of a link authenticates with, secrets in clear: for the gateway alone. Every credential that is not retired is
 * accepted, the active one is used: that is what lets a key be replaced without an interruption. Throws when none is active.
 */
export async function authenticationOf(tx: Transaction, linkId: string, end: "A" | "B"): Promise<Authentication> {
  const credentials = await tx.credential.findMany({
    where: { linkId, state: { not: "retired" }, secretId: { not: null }, OR: [{ end: null }, { end }] },
    orderBy: { createdAt: "desc" },
  });
  const active = credentials.find((credential) => credential.state === "active");
  if (active === undefined) throw new Error(`Link ${linkId} has no active credential for its end ${end}.`);
  const opened = await Promise.all(credentials.map(async (row) => ({ row, secret: row.secretId === null ? "" : await openSecret(tx, row.secretId) })));
  if (active.kind === "psk") return { method: "psk", keys: opened.map(({ row, secret }) => ({ id: row.id, secret })), use: active.id };
  const authority = await ensureAuthority(tx, "ipsec");
  return {
    method: "certificate",
    certificates: opened.map(({ row, secret }) => ({ id: row.id, chain: row.certificatePem ?? "", privateKey: secret })),
    use: active.id,
    trustedAuthorities: [authority.certificatePem],
  };
}
