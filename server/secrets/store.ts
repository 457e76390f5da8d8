import { execFileSync } from "node:child_process";
import { createHmac, randomUUID } from "node:crypto";
import type { Secret } from "../../generated/prisma/client.ts";
import type { Transaction } from "../db/client.ts";
import { setting } from "../db/settings.ts";
import { masterKeyId, seal, unseal } from "./envelope.ts";

/** Encrypts `plaintext` into a new Secret row and returns its id. */
export async function storeSecret(tx: Transaction, plaintext: string): Promise<string> {
  const id = randomUUID();
  await tx.secret.create({ data: { id, ...seal(currentMasterKey(), id, Buffer.from(plaintext, "utf8")) } });
  return id;
}

/** The secret in clear: for compiling what a gateway gets and for signing. Never for an answer to a browser. */
export async function openSecret(tx: Transaction, id: string): Promise<string> {
  return unsealSecret(await tx.secret.findUniqueOrThrow({ where: { id } }));
}

/** As openSecret, of a row that was read already. Throws when the master key it was sealed under is not among those given. */
export function unsealSecret(row: Secret): string {
  const key = masterKeys().find((candidate) => masterKeyId(candidate) === row.masterKeyId);
  if (key === undefined) throw new Error(`Secret ${row.id} was sealed under master key ${row.masterKeyId}, which is not among those given.`);
  return Buffer.from(unseal(key, row.id, row)).toString("utf8");
}

/** A key of its own purpose, for naming secrets: see server/keys/fingerprint.ts. */
export function fingerprintKey(): Uint8Array {
  return createHmac("sha256", currentMasterKey()).update("culvert fingerprint key").digest();
}

let kept: readonly Uint8Array[] | null = null;

function currentMasterKey(): Uint8Array {
  const [first] = masterKeys();
  if (first === undefined) throw new Error("CULVERT_MASTER_KEY is not set: 32 octets in base64 that secrets are encrypted under.");
  return first;
}

/**
 * The master keys, the one for new secrets first. They come from CULVERT_MASTER_KEY (or its _FILE), or from a key management
 * service through CULVERT_MASTER_KEY_COMMAND, a program that prints the key; CULVERT_MASTER_KEY_PREVIOUS holds older ones,
 * separated by commas.
 */
function masterKeys(): readonly Uint8Array[] {
  kept ??= [setting("CULVERT_MASTER_KEY") ?? fromCommand(), ...(setting("CULVERT_MASTER_KEY_PREVIOUS") ?? "").split(",")]
    .filter((text) => text !== undefined && text.trim() !== "")
    .map((text) => parseKey(String(text)));
  return kept;
}

function fromCommand(): string | undefined {
  const command = setting("CULVERT_MASTER_KEY_COMMAND");
  return command === undefined ? undefined : execFileSync(command, { encoding: "utf8", timeout: 10_000 }).trim();
}

function parseKey(text: string): Uint8Array {
  const key = Buffer.from(text.trim(), "base64");
  if (key.length !== 32) throw new Error(`A master key must be 32 octets in base64; this one has ${key.length}.`);
  return key;
}
