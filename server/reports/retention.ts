import { database } from "../db/client.ts";

const hour = 3_600_000;
const day = 24 * hour;
/** How long samples of each resolution are kept: enough for the chart ranges that read them, and a half more. */
const sampleLifetimes = [
  { resolutionSeconds: 1, milliseconds: 2 * hour },
  { resolutionSeconds: 60, milliseconds: 10 * day },
  { resolutionSeconds: 3_600, milliseconds: 400 * day },
] as const;
const traceLifetime = 7 * day;
/** Of each link (and of each gateway's entries without one): a link that fails again and again must not fill the disk. */
const traceEntries = 5_000;
const commandLifetime = day;
/** Whoever asked for a trace has read it long before, or is gone. */
const traceFileLifetime = hour / 6;

/** Deletes what no page shows any more. Idempotent, so it does not matter how many hubs do it. */
export async function removeOldRows(): Promise<void> {
  const db = database();
  const before = (milliseconds: number) => new Date(Date.now() - milliseconds);
  for (const { resolutionSeconds, milliseconds } of sampleLifetimes)
    await db.counterSample.deleteMany({ where: { resolutionSeconds, at: { lt: before(milliseconds) } } });
  await db.traceEntry.deleteMany({ where: { at: { lt: before(traceLifetime) } } });
  await db.$executeRaw`
    DELETE FROM "TraceEntry" WHERE id IN (
      SELECT id FROM (SELECT id, row_number() OVER (PARTITION BY "gatewayId", "linkId" ORDER BY id DESC) AS place FROM "TraceEntry") ranked WHERE place > ${traceEntries})`;
  await db.$executeRaw`UPDATE "GatewayCommand" SET "traceFile" = NULL WHERE "traceFile" IS NOT NULL AND "createdAt" < ${before(traceFileLifetime)}`;
  await db.gatewayCommand.deleteMany({ where: { createdAt: { lt: before(commandLifetime) } } });
}
