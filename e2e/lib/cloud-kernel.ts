import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { root } from "../../scripts/setup.mjs";
import { runCommand } from "./run-command.ts";

/*
 * The kernel of Debian's linux-image-cloud-amd64, for a machine that qemu plays: it has xfrm interfaces, which user-mode Linux has not. The package is unpacked, not installed, since the
 * machine that tests has a kernel of its own to start with. 27 MB to fetch, 110 unpacked, once.
 */
const directory = join(root, "dist/peers");
const prefix = "cloud-kernel-";

export interface CloudKernel {
  /** Such as `6.1.0-57-cloud-amd64`. */
  readonly release: string;
  /** Its root directory, with boot and lib/modules. */
  readonly root: string;
}

/** What is there; null: nothing yet. */
export function cloudKernel(): CloudKernel | null {
  if (!existsSync(directory)) return null;
  const name = readdirSync(directory).find((entry) => entry.startsWith(prefix) && !entry.includes(".part"));
  return name === undefined ? null : { release: name.slice(prefix.length), root: join(directory, name) };
}

/** Fetches it with this machine's apt when it is not there. @throws Error with a sentence; nothing half made stays. */
export async function makeCloudKernel(say: (line: string) => void): Promise<CloudKernel> {
  const present = cloudKernel();
  if (present !== null) return present;
  const depends = execFileSync("apt-cache", ["depends", "linux-image-cloud-amd64"], { encoding: "utf8" });
  const release = /Depends: linux-image-(\S+)/.exec(depends)?.[1];
  if (release === undefined) throw new Error("apt knows no linux-image-cloud-amd64: run apt-get update");
  say(`fetching Debian's kernel ${release}`);
  mkdirSync(directory, { recursive: true });
  const making = mkdtempSync(join(directory, `${prefix}${release}.part-`));
  try {
    await runCommand(["env", "--chdir", making, "apt-get", "download", "-qq", `linux-image-${release}`], { timeoutMilliseconds: 180_000 });
    const [archive = ""] = readdirSync(making);
    const unpacked = join(making, "root");
    await runCommand(["dpkg-deb", "--extract", join(making, archive), unpacked], { timeoutMilliseconds: 120_000 });
    await runCommand(["/usr/sbin/depmod", "--basedir", unpacked, release]);
    const target = join(directory, `${prefix}${release}`);
    // Another run may have been faster.
    if (!existsSync(target)) renameSync(unpacked, target);
    return { release, root: target };
  } finally {
    rmSync(making, { recursive: true, force: true });
  }
}
