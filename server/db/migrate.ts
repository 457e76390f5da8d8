import { createHash, randomUUID } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { Client } from "pg";

/** Prisma Migrate's own advisory lock, so that `prisma migrate deploy` and this never run together. */
const prismaLock = 72_707_369;

/**
 * Applies `prisma/migrations/…/migration.sql` in order, as `prisma migrate deploy` would and with the same records, without
 * its native engine. A migration and its record are one transaction. Returns the names applied; throws when an applied one
 * was edited since.
 */
export async function migrate(url: string, directory: string, onApplied: (name: string) => void = () => {}): Promise<string[]> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    await client.query("SELECT pg_advisory_lock($1)", [prismaLock]);
    await client.query(createRecords);
    const applied = new Map<string, string>();
    for (const row of (await client.query("SELECT migration_name, checksum FROM _prisma_migrations WHERE finished_at IS NOT NULL AND rolled_back_at IS NULL"))
      .rows)
      applied.set(String(row.migration_name), String(row.checksum));
    const fresh: string[] = [];
    for (const name of await migrationNames(directory)) {
      const sql = await readFile(join(directory, name, "migration.sql"), "utf8");
      const checksum = createHash("sha256").update(sql).digest("hex");
      const known = applied.get(name);
      if (known === checksum) continue;
      if (known !== undefined) throw new Error(`Migration ${name} was changed after it had been applied; restore its file.`);
      await applyOne(client, name, sql, checksum);
      fresh.push(name);
      onApplied(name);
    }
    return fresh;
  } finally {
    await client.end();
  }
}

async function migrationNames(directory: string): Promise<string[]> {
  const entries = await readdir(directory, { withFileTypes: true });
  return entries
    .filter((entry) => entry.isDirectory())
    .map((entry) => entry.name)
    .sort();
}

async function applyOne(client: Client, name: string, sql: string, checksum: string): Promise<void> {
  await client.query("BEGIN");
  try {
    await client.query(sql);
    await client.query(
      "INSERT INTO _prisma_migrations (id, checksum, migration_name, started_at, finished_at, applied_steps_count) VALUES ($1, $2, $3, now(), now(), 1)",
      [randomUUID(), checksum, name],
    );
    await client.query("COMMIT");
  } catch (error) {
    await client.query("ROLLBACK");
    throw new Error(`Migration ${name} failed; nothing of it was kept.`, { cause: error });
  }
}

const createRecords = `CREATE TABLE IF NOT EXISTS _prisma_migrations (
  id VARCHAR(36) PRIMARY KEY NOT NULL, checksum VARCHAR(64) NOT NULL, finished_at TIMESTAMPTZ, migration_name VARCHAR(255) NOT NULL,
  logs TEXT, rolled_back_at TIMESTAMPTZ, started_at TIMESTAMPTZ NOT NULL DEFAULT now(), applied_steps_count INTEGER NOT NULL DEFAULT 0)`;
