import type { Transaction } from "./client.ts";

const configurationLock = 7_305_003;

/**
 * Until the transaction ends, nobody else changes sites or links: names and networks are checked against all the others, and two that
 * were checked at once could both pass.
 */
export async function lockConfiguration(tx: Transaction): Promise<void> {
  await tx.$executeRaw`SELECT pg_advisory_xact_lock(${configurationLock})`;
}
