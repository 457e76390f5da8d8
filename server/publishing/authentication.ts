import type { Authentication } from "../../contract/desired-state.ts";
import type { Credential, Secret } from "../../generated/prisma/client.ts";
import { unsealSecret } from "../secrets/store.ts";

/** The link's rows do not make an authentication. */
export class NoCredential extends Error {}

export type CredentialWithSecret = Credential & { readonly secret: Secret | null };

/** Every credential that is accepted: what `authenticationFrom` works on. A withdrawn one still has its secret and is told to nobody. */
export const acceptedCredentials = {
  where: { state: { not: "retired" }, NOT: { state: "withdrawn" }, secretId: { not: null } },
  orderBy: { createdAt: "desc" },
  include: { secret: true },
} as const;

/**
 * What one end of a link authenticates with, secrets in clear: for the gateway alone. Every credential given here is
 * accepted, the active one is used: that is what lets a key be replaced without an interruption.
 * @throws NoCredential when none is active.
 */
export function authenticationFrom(rows: readonly CredentialWithSecret[], end: "A" | "B", trustedAuthorities: readonly string[]): Authentication {
  const own = rows.filter((row) => row.end === null || row.end === end);
  const active = own.find((row) => row.state === "active");
  if (active === undefined) throw new NoCredential(`The link has no key in use for its end ${end}.`);
  const opened = own.flatMap((row) => (row.secret === null ? [] : [{ row, secret: unsealSecret(row.secret) }]));
  if (active.kind === "psk") return { method: "psk", keys: opened.map(({ row, secret }) => ({ id: row.id, secret })), use: active.id };
  return {
    method: "certificate",
    certificates: opened.map(({ row, secret }) => ({ id: row.id, chain: row.certificatePem ?? "", privateKey: secret })),
    use: active.id,
    trustedAuthorities: active.trustedPem === null ? [...trustedAuthorities] : [active.trustedPem],
  };
}
