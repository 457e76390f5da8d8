import { createHash, randomBytes } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { setting } from "../../server/db/settings.ts";
import { root } from "../setup.mjs";

/**
 * Where the embedded Postgres and the generated secrets lie: CULVERT_DATA_DIR, else `.culvert` in the checkout. As root Postgres
 * runs as the user `postgres`, who must be able to reach it: a checkout under /root gets a directory in /var/lib instead.
 */
export function dataDirectory(): string {
  const given = setting("CULVERT_DATA_DIR");
  const wanted = resolve(given ?? join(root, ".culvert"));
  const chosen =
    given !== undefined || process.getuid?.() !== 0 || othersMayEnter(dirname(wanted))
      ? wanted
      : join("/var/lib", `culvert-${createHash("sha256").update(root).digest("hex").slice(0, 8)}`);
  mkdirSync(chosen, { recursive: true, mode: 0o711 });
  return chosen;
}

function othersMayEnter(path: string): boolean {
  for (let at = path; ; at = dirname(at)) {
    if (existsSync(at) && (statSync(at).mode & 0o001) === 0) return false;
    if (at === dirname(at)) return true;
  }
}

/**
 * A secret of the server: the environment's (`NAME` or `NAME_FILE`), else one made at first use and kept in `directory` with
 * mode 0600. Returns its text; `octets` random octets in base64 when it is new.
 */
export function keptSecret(name: string, directory: string, octets = 32): string {
  const given = setting(name);
  if (given !== undefined) return given;
  const file = join(directory, "secrets", name.toLowerCase());
  if (!existsSync(file)) {
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
    writeFileSync(file, randomBytes(octets).toString("base64"), { mode: 0o600, flag: "wx" });
  }
  return readFileSync(file, "utf8").trim();
}
