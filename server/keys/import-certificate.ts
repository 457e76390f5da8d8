import { z } from "zod";
import { CredentialFileError, pemOf, readAuthorities, readCredentialFile } from "../../agent/crypto/credential-file.ts";
import type { Credential, ImportedCertificate } from "../../generated/prisma/client.ts";
import { recordEvent } from "../audit/record-event.ts";
import { type Actor, authorize } from "../auth/actor.ts";
import { announce } from "../db/changes.ts";
import { database, type Transaction } from "../db/client.ts";
import { lockConfiguration } from "../db/configuration-lock.ts";
import { Conflict, Invalid, NotFound } from "../errors.ts";
import { parseInput } from "../parse-input.ts";
import { openSecret, storeSecret } from "../secrets/store.ts";
import { certificateFingerprint } from "./fingerprint.ts";

/** A certificate of another authority, without its key. */
export interface ImportedCertificateView {
  readonly id: string;
  readonly name: string;
  readonly subject: string;
  readonly identity: string;
  readonly keyName: string;
  readonly notAfter: string;
  /** Whether the file held the authority that signed it: then a peer of the same authority needs no other. */
  readonly hasRoot: boolean;
}

const importForm = z.object({
  name: z.string().trim().max(80, "At most 80 characters."),
  password: z.string().max(1_024, "At most 1,024 characters."),
  file: z.instanceof(Uint8Array),
});

/**
 * Takes a certificate with its private key and chain from a PKCS #12 or PEM file. The key goes into the secret store, the password is kept
 * by nobody. `notice` is what the owner should know although it was taken. Throws Invalid at `file`, `password` or `name`.
 */
export async function importCertificate(actor: Actor, input: unknown): Promise<{ id: string; notice: string | null }> {
  authorize(actor, "edit");
  const { name: given, password, file } = parseInput(importForm, input);
  const { chain, roots, privateKeyPem, keyName, identity, missingIssuer } = refusing(() => readCredentialFile(file, password, Date.now()));
  const [own] = chain;
  if (own === undefined) throw new Error("a chain begins with the certificate");
  const subject = own.subjectText || identity;
  const name = given || subject.slice(0, 80);
  const fingerprint = certificateFingerprint(own.signed.toString());
  const id = await database().$transaction(async (tx) => {
    await lockConfiguration(tx);
    const known = await tx.importedCertificate.findFirst({ where: { OR: [{ fingerprint }, { name }] } });
    if (known?.fingerprint === fingerprint) throw new Invalid({ file: `This certificate is there already, as “${known.name}”.` });
    if (known !== null) throw new Invalid({ name: `There is a certificate called “${name}” already. Give this one another name.` });
    const secretId = await storeSecret(tx, privateKeyPem);
    const facts = { name, subject, identity, keyName, fingerprint, notAfter: own.notAfter };
    const row = await tx.importedCertificate.create({
      data: { ...facts, chainPem: pemOf(chain), rootsPem: pemOf(roots), importedBy: actor.name, secretId },
    });
    await recordEvent(tx, {
      ...eventOf(actor, row, "imported", `Certificate ${name} was imported`),
      after: { ...facts, notAfter: own.notAfter.toISOString() },
    });
    await announce(tx, { resource: "key", id: row.id });
    return row.id;
  });
  return { id, notice: noticeOf(missingIssuer, chain.length) };
}

function noticeOf(missingIssuer: string | null, certificates: number): string | null {
  if (missingIssuer === null) return null;
  const sent = certificates === 1 ? "The certificate alone is" : `The certificate and ${certificates - 1} of its issuers are`;
  return `${sent} shown to peers. ${missingIssuer}, who signed the last of them, is not in the file: a peer must have it. If it is an intermediate, import a file with the whole path.`;
}

/** Every imported certificate, for the choice in a link's form. */
export async function listImportedCertificates(actor: Actor): Promise<ImportedCertificateView[]> {
  authorize(actor, "read");
  const rows = await database().importedCertificate.findMany({ orderBy: { name: "asc" } });
  return rows.map(({ id, name, subject, identity, keyName, notAfter, rootsPem }) => ({
    id,
    name,
    subject,
    identity,
    keyName,
    notAfter: notAfter.toISOString(),
    hasRoot: rootsPem !== "",
  }));
}

/** Destroys it and its key. Throws Conflict while a link uses it. */
export async function deleteImportedCertificate(actor: Actor, id: string): Promise<void> {
  authorize(actor, "edit");
  await database().$transaction(async (tx) => {
    await lockConfiguration(tx);
    const row = await tx.importedCertificate.findUnique({ where: { id }, include: { credentials: { include: { link: { select: { name: true } } } } } });
    if (row === null) throw new NotFound("There is no such certificate.");
    const [used] = row.credentials.filter((credential) => credential.state !== "retired");
    if (used !== undefined) throw new Conflict(`The link ${used.link.name} uses this certificate. Replace it there, or delete the link.`);
    await tx.credential.updateMany({ where: { importId: id }, data: { importId: null } });
    await tx.importedCertificate.delete({ where: { id } });
    await tx.secret.delete({ where: { id: row.secretId } });
    await recordEvent(tx, eventOf(actor, row, "deleted", `Certificate ${row.name} was deleted with its key`));
    await announce(tx, { resource: "key", id });
  });
}

/** What a link's first end shows to a third-party peer, and whom it believes. */
export interface ImportedChoice {
  readonly certificate: ImportedCertificate;
  readonly trustedPem: string;
}

/**
 * The choice of a link's form. `authorities`, PEM, are whom the peer's certificate must come from; empty: whom the file came with. Throws
 * Invalid at `certificateId` or `peerAuthorities`.
 */
export async function chooseImported(tx: Transaction, certificateId: string, authorities: string): Promise<ImportedChoice> {
  if (certificateId === "") throw new Invalid({ certificateId: "Choose the certificate to show to the peer. Import one under Keys." });
  const certificate = await tx.importedCertificate.findUnique({ where: { id: certificateId } });
  if (certificate === null) throw new Invalid({ certificateId: "This certificate is no longer there." });
  if (certificate.notAfter.getTime() < Date.now())
    throw new Invalid({ certificateId: `It expired on ${certificate.notAfter.toISOString().slice(0, 10)}. Import a newer one under Keys.` });
  const trustedPem = authorities.trim() === "" ? certificate.rootsPem : pemOf(refusing(() => readAuthorities(authorities), "peerAuthorities"));
  if (trustedPem === "")
    throw new Invalid({ peerAuthorities: "The imported file held no root, so paste the certificate of the authority that signs the peer's." });
  return { certificate, trustedPem };
}

/** The credential of a link's first end, with a copy of the key. */
export async function credentialOfImport(
  tx: Transaction,
  linkId: string,
  { certificate, trustedPem }: ImportedChoice,
  state: "active" | "staged" = "active",
): Promise<Credential> {
  const { id: importId, fingerprint, chainPem, notAfter, secretId } = certificate;
  const copy = await storeSecret(tx, await openSecret(tx, secretId));
  return tx.credential.create({
    data: {
      linkId,
      kind: "certificate",
      end: "A",
      state,
      fingerprint,
      certificatePem: chainPem,
      notAfter,
      trustedPem,
      importId,
      secretId: copy,
      activatedAt: state === "active" ? new Date() : null,
    },
  });
}

const passwordCodes: readonly string[] = ["wrongPassword", "passwordNeeded"];

/** What the reader refuses is refused at the field that it is about. */
function refusing<T>(read: () => T, field = "file"): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof CredentialFileError)) throw error;
    throw new Invalid({ [passwordCodes.includes(error.code) && field === "file" ? "password" : field]: error.message });
  }
}

function eventOf(actor: Actor, row: { readonly id: string; readonly name: string }, verb: string, summary: string) {
  return { resource: "key", resourceId: row.id, resourceName: row.name, verb, actorId: actor.userId, actorName: actor.name, summary } as const;
}
