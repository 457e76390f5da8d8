import { readFileSync } from "node:fs";

/**
 * Settings from the environment. Each secret `X` may also be given as `X_FILE`, a file that holds it (a mounted secret); the
 * last newline of the file is not part of it.
 */
export function setting(name: string): string | undefined {
  const given = process.env[name];
  if (given !== undefined && given !== "") return given;
  const file = process.env[`${name}_FILE`];
  return file === undefined || file === "" ? undefined : readFileSync(file, "utf8").replace(/\r?\n$/, "");
}

/** Throws an error that says which variable is missing and what for. */
export function requiredSetting(name: string, purpose: string): string {
  const value = setting(name);
  if (value === undefined) throw new Error(`${name} (or ${name}_FILE) is not set: ${purpose}`);
  return value;
}

/** `DATABASE_URL`, or one made of `CULVERT_DATABASE_HOST`, `_PORT`, `_NAME`, `_USER` and `_PASSWORD`. */
export function databaseUrl(): string {
  const url = setting("DATABASE_URL");
  if (url !== undefined) return url;
  const host = setting("CULVERT_DATABASE_HOST");
  if (host === undefined) throw new Error("DATABASE_URL (or CULVERT_DATABASE_HOST) is not set: the console needs a Postgres.");
  const user = encodeURIComponent(setting("CULVERT_DATABASE_USER") ?? "culvert");
  const password = encodeURIComponent(requiredSetting("CULVERT_DATABASE_PASSWORD", "the database password."));
  return `postgresql://${user}:${password}@${host}:${setting("CULVERT_DATABASE_PORT") ?? "5432"}/${setting("CULVERT_DATABASE_NAME") ?? "culvert"}`;
}

/** The address people open, e.g. `https://localhost:8443`. */
export function consoleUrl(): string {
  return setting("CULVERT_CONSOLE_URL") ?? "http://localhost:3000";
}

/** The address gateways connect to, e.g. `https://localhost:8444`. */
export function hubUrl(): string {
  return setting("CULVERT_HUB_URL") ?? "https://localhost:8444";
}
