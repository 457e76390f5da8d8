import type { Transaction } from "./client.ts";

const configurationLock = 7_305_003;

/**
 * Until the transaction ends, nobody else changes sites, links, rotation schedules or enrolment commands, or asks for a rotation: names,
 * networks and what runs already are checked against all the others, and two that were checked at once could both pass.
 */
export async function lockConfiguration(tx: Transaction): Promise<void> {
  await tx.$executeRaw`SELECT pg_advisory_xact_lock(${configurationLock})`;
}
