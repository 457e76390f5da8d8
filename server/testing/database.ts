import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Actor } from "../auth/actor.ts";
import { closeDatabase } from "../db/client.ts";
import { startEmbeddedDatabase } from "../db/embedded.ts";
import { migrate } from "../db/migrate.ts";

/** An owner who is in no table: domain functions take an actor, they do not look it up. */
export const owner: Actor = { userId: "test-owner", name: "Olga Owner", email: "owner@example.test", role: "owner", twoFactorEnabled: false };

/** A real Postgres of its own for a test file, migrated; the process's settings point at it until `stop`. */
export async function startTestDatabase(): Promise<{ url: string; stop: () => Promise<void> }> {
  const directory = await mkdtemp(join(tmpdir(), "culvert-test-"));
  const server = await startEmbeddedDatabase(directory);
  await migrate(server.url, fileURLToPath(new URL("../../prisma/migrations", import.meta.url)));
  process.env.DATABASE_URL = server.url;
  process.env.CULVERT_MASTER_KEY = randomBytes(32).toString("base64");
  process.env.CULVERT_HUB_URL = "https://127.0.0.1:8444";
  return {
    url: server.url,
    async stop() {
      await closeDatabase();
      await server.stop();
      await rm(directory, { recursive: true, force: true });
    },
  };
}
