import { copyFileSync, existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { newerPeerRoot } from "./newer-peer.ts";

const name = "libIPSec_MB.so.2";

/**
 * The environment in which a gateway finds the AES-GCM library of the newer Debian (newer-peer.ts): by itself in a folder under `directory`, since the rest of that Debian's
 * libraries are not this one's. @throws Error with one sentence when it is not there.
 */
export function withNewerGcmLibrary(directory: string): Record<string, string> {
  const root = newerPeerRoot();
  const library = root === null ? null : join(root, "usr/lib/x86_64-linux-gnu", name);
  if (library === null || !existsSync(library)) throw new Error(`${name} is not there: it comes with the newer Debian that \`npm run interop\` makes`);
  const folder = join(directory, "newer-gcm-library");
  mkdirSync(folder, { recursive: true });
  copyFileSync(library, join(folder, name));
  return { LD_LIBRARY_PATH: folder };
}
