import { randomBytes } from "node:crypto";
import type { Authority, Credential } from "../../generated/prisma/client.ts";
import type { CredentialState } from "../../generated/prisma/enums.ts";
import type { Transaction } from "../db/client.ts";
import type { LinkConfig } from "../links/link-config.ts";
import { storeSecret } from "../secrets/store.ts";
import { ensureAuthority, type IssuedCertificate, issueCertificate, newKeyPair } from "./authority.ts";
import { certificateFingerprint, pskFingerprint } from "./fingerprint.ts";

const certificateDays = 90;

/**
 * Makes what a link's ends prove themselves with: one pre-shared key for both (`given`, or 256 fresh random bits), or a
 * certificate for each end with a gateway of ours. Returns the rows; a generated key's text is only in its Secret.
 */
export async function createCredentials(
  tx: Transaction,
  link: { id: string; config: LinkConfig },
  state: CredentialState,
  given: string | null = null,
): Promise<Credential[]> {
  const activatedAt = state === "active" ? new Date() : null;
  if (link.config.method === "psk") {
    const secret = given ?? newPreSharedKey();
    const secretId = await storeSecret(tx, secret);
    const data = { linkId: link.id, kind: "psk" as const, state, fingerprint: pskFingerprint(secret), secretId, activatedAt };
    return [await tx.credential.create({ data })];
  }
  const common = { linkId: link.id, state, activatedAt };
  const rows = [await certificateFor(tx, { ...common, end: "A", identity: link.config.identityA })];
  if (link.config.peer.kind === "site") rows.push(await certificateFor(tx, { ...common, end: "B", identity: link.config.peer.identity }));
  return rows;
}

export interface NewCertificate {
  readonly linkId: string;
  readonly end: "A" | "B";
  /** The end's IKE identity. */
  readonly identity: string;
  readonly state: CredentialState;
  readonly activatedAt: Date | null;
}

/** A certificate of the console's own authority for one end of a link. */
export async function certificateFor(tx: Transaction, { linkId, end, identity, state, activatedAt }: NewCertificate): Promise<Credential> {
  const { issued, privateKeyPem } = await issueFor(tx, await ensureAuthority(tx, "ipsec"), identity);
  return tx.credential.create({
    data: {
      linkId,
      kind: "certificate",
      end,
      state,
      fingerprint: certificateFingerprint(issued.certificatePem),
      certificatePem: issued.certificatePem,
      notAfter: issued.notAfter,
      secretId: await storeSecret(tx, privateKeyPem),
      activatedAt,
    },
  });
}

/** A fresh key and its certificate for an end with this IKE identity; nothing of it is stored. */
export async function issueFor(tx: Transaction, authority: Authority, identity: string): Promise<{ issued: IssuedCertificate; privateKeyPem: string }> {
  const keys = await newKeyPair();
  const issued = await issueCertificate(tx, authority, {
    publicKey: keys.publicKey,
    commonName: identity,
    // The IKE identity must be in the certificate for the peer to bind the two (RFC 4945 §3.1).
    dnsNames: [identity],
    usage: "ipsec",
    days: certificateDays,
  });
  return { issued, privateKeyPem: keys.privateKeyPem };
}

type Issued = Pick<Credential, "certificatePem" | "trustedPem" | "importId" | "notAfter">;

/** Those certificates that the console itself issued and that have not ended, also those that are not in use any more: a machine may have kept them. */
export function issuedHere<T extends Issued>(credentials: readonly T[]): (T & { readonly certificatePem: string })[] {
  const now = new Date();
  return credentials.filter((each): each is T & { readonly certificatePem: string } => {
    const { certificatePem, trustedPem, importId, notAfter } = each;
    return certificatePem !== null && trustedPem === null && importId === null && notAfter !== null && notAfter > now;
  });
}

/** 256 random bits as text that no peer reads as anything but text: a leading `0x` or `0s` would mean hexadecimal or base64. */
export function newPreSharedKey(): string {
  for (;;) {
    const text = randomBytes(32).toString("base64url");
    if (!/^0[xs]/i.test(text)) return text;
  }
}

/** Retires a credential: its secret is destroyed, its fingerprint stays for the record. */
export async function retireCredential(tx: Transaction, credential: { id: string; secretId: string | null }): Promise<void> {
  await tx.credential.update({ where: { id: credential.id }, data: { state: "retired", retiredAt: new Date(), secretId: null } });
  if (credential.secretId !== null) await tx.secret.delete({ where: { id: credential.secretId } });
}
