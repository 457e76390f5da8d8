import { PrismaPg } from "@prisma/adapter-pg";
import { PrismaClient } from "../../generated/prisma/client.ts";
import type { TransactionClient } from "../../generated/prisma/internal/prismaNamespace.ts";
import { databaseUrl } from "./settings.ts";

export type Database = PrismaClient;
/** A client inside or outside a transaction: what functions that take part in a larger one accept. */
export type Transaction = TransactionClient;

// Next's development server loads this module anew at each change; the pool must not be.
const kept: { culvertDatabase?: PrismaClient } = globalThis as { culvertDatabase?: PrismaClient };

/** The process's one Prisma client; made at first use, so that building needs no database. */
export function database(): Database {
  kept.culvertDatabase ??= new PrismaClient({
    adapter: new PrismaPg({ connectionString: databaseUrl(), max: 16, application_name: "culvert" }),
  });
  return kept.culvertDatabase;
}

/** Ends the pool; for tests and an orderly exit. */
export async function closeDatabase(): Promise<void> {
  await kept.culvertDatabase?.$disconnect();
  delete kept.culvertDatabase;
}
