import { Client } from "pg";
import { databaseUrl } from "./settings.ts";

/** What a NOTIFY carries: which resource changed. A hint, never content; those who missed one poll. */
export interface Change {
  readonly resource: "site" | "link" | "key" | "rotation" | "event" | "user" | "trace" | "gateway" | "command";
  readonly id: string;
}

export const changeChannel = "culvert_changes";

type Listener = (change: Change) => void;

const listeners = new Set<Listener>();
let connecting: Promise<void> | null = null;

/**
 * Calls `listener` for every change announced by any console or hub on this database. One connection serves all listeners of
 * the process and is made again when it breaks. Returns the function that ends it.
 */
export async function subscribe(listener: Listener): Promise<() => void> {
  listeners.add(listener);
  await ensureListening();
  return () => {
    listeners.delete(listener);
  };
}

async function ensureListening(): Promise<void> {
  connecting ??= listen().catch((error: unknown) => {
    connecting = null;
    throw error;
  });
  return connecting;
}

async function listen(): Promise<void> {
  const client = new Client({ connectionString: databaseUrl(), application_name: "culvert-changes" });
  client.on("notification", (message) => {
    const change = parseChange(message.payload ?? "");
    if (change !== null) for (const listener of listeners) listener(change);
  });
  client.on("error", reconnect);
  client.on("end", reconnect);
  await client.connect();
  await client.query(`LISTEN ${changeChannel}`);

  function reconnect() {
    client.removeAllListeners("end");
    if (connecting === null) return;
    connecting = null;
    const again = () => {
      if (listeners.size > 0) ensureListening().catch(() => setTimeout(again, 1_000).unref());
    };
    setTimeout(again, 1_000).unref();
  }
}

/** `resource:id`; anything else was not written by us and is ignored. */
function parseChange(payload: string): Change | null {
  const colon = payload.indexOf(":");
  const resource = resources.find((known) => known === payload.slice(0, colon));
  return resource === undefined ? null : { resource, id: payload.slice(colon + 1) };
}

const resources = ["site", "link", "key", "rotation", "event", "user", "trace", "gateway", "command"] as const;

/** The part of a Prisma client that `announce` needs: works inside and outside a transaction. */
export interface Announcer {
  $executeRaw(query: TemplateStringsArray, ...values: unknown[]): PromiseLike<number>;
}

/** Announces changes; inside a transaction they are sent when it commits and not at all when it rolls back. */
export async function announce(database: Announcer, ...changes: readonly Change[]): Promise<void> {
  if (changes.length === 0) return;
  const payloads = changes.map((change) => `${change.resource}:${change.id}`);
  await database.$executeRaw`SELECT pg_notify(${changeChannel}, payload) FROM unnest(${payloads}::text[]) AS payload`;
}
