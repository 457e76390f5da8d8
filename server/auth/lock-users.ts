import type { Transaction } from "../db/client.ts";

const usersLock = 7_305_004;

/**
 * Until the transaction ends, nobody else adds or changes users: addresses and the last owner are checked against all the others, and
 * two that were checked at once could both pass.
 */
export async function lockUsers(tx: Transaction): Promise<void> {
  await tx.$executeRaw`SELECT pg_advisory_xact_lock(${usersLock})`;
}
