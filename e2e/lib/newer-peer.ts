import { execFileSync, spawn } from "node:child_process";
import { appendFileSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { root } from "../../scripts/setup.mjs";

/*
 * Debian 12 has strongSwan 5.9, which knows no ML-KEM. So the peer of those scenarios, and of their benchmark, runs in the root directory of a
 * newer Debian, made of packages from the mirror that this machine's apt uses, once: a minute and 250 MB.
 */

const target = join(root, "dist/peers/debian-testing");
/** Written last, with what the directory was made of: without it the directory is half made, and with other packages in it an earlier version's. */
const stamp = ".culvert-complete";
const packages = [
  "strongswan-charon",
  "strongswan-swanctl",
  "libcharon-extra-plugins",
  "libstrongswan-extra-plugins",
  "libstrongswan-standard-plugins",
  "wireguard-go",
  // Of x86 alone.
  ...(process.arch === "x64" ? ["libipsec-mb2"] : []),
  "iproute2",
];
const longestSeconds = 420;

/** The directory when it is there, or the one that CULVERT_STRONGSWAN6_ROOT names; else null. */
export function newerPeerRoot(): string | null {
  const given = process.env["CULVERT_STRONGSWAN6_ROOT"];
  if (given !== undefined && given !== "") return given;
  return isComplete() ? target : null;
}

function isComplete(): boolean {
  const file = join(target, stamp);
  return existsSync(file) && readFileSync(file, "utf8") === packages.join("\n");
}

/** Makes the directory when it is not there, or anew when it has other packages. @throws Error with one sentence that says what is missing; nothing half made stays. */
export async function makeNewerPeerRoot(say: (line: string) => void): Promise<string> {
  const present = newerPeerRoot();
  if (present !== null) return present;
  if (process.getuid?.() !== 0) throw new Error("strongSwan 6 needs a root directory of its own, and only root can make one");
  if (!existsSync("/usr/sbin/debootstrap")) throw new Error("debootstrap is missing: on Debian, apt-get install debootstrap");
  mkdirSync(dirname(target), { recursive: true });
  removeLeftovers();
  const making = `${target}.part-${process.pid}`;
  const log = `${making}.log`;
  say("making a root directory with strongSwan 6 out of Debian's packages, a minute or two");
  try {
    await bootstrap(making, log);
    for (const cache of ["var/cache/apt", "var/lib/apt/lists"]) rmSync(join(making, cache), { recursive: true, force: true });
    writeFileSync(join(making, stamp), packages.join("\n"));
    // Another run may have been faster.
    if (!isComplete()) {
      rmSync(target, { recursive: true, force: true });
      renameSync(making, target);
    }
    return target;
  } finally {
    rmSync(making, { recursive: true, force: true });
    rmSync(log, { force: true });
  }
}

/** In a mount namespace of its own, so that what it mounts goes with it. */
async function bootstrap(directory: string, log: string): Promise<void> {
  const args = ["--mount", "--propagation", "private", "debootstrap", "--variant=minbase", `--include=${packages.join(",")}`, "testing", directory, mirror()];
  writeFileSync(log, "");
  const child = spawn("unshare", args, { stdio: ["ignore", "pipe", "pipe"], env: { ...process.env, ...proxy() }, detached: true });
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (text: Buffer) => appendFileSync(log, text));
  const end = () => void (child.pid !== undefined && process.kill(-child.pid, "SIGKILL"));
  const timer = setTimeout(end, longestSeconds * 1_000);
  process.once("exit", end);
  try {
    const code = await new Promise<number | null>((resolve, reject) => {
      child.once("error", reject);
      child.once("close", resolve);
    });
    if (code === 0) return;
    const last = readFileSync(log, "utf8").trim().split("\n").slice(-3).join("; ");
    throw new Error(`debootstrap ${code === null ? `was ended after ${longestSeconds} s` : `ended with ${code}`}: ${last}`);
  } finally {
    clearTimeout(timer);
    process.off("exit", end);
  }
}

/** The archive that apt is set to use. */
function mirror(): string {
  const lines = execFileSync("apt-get", ["indextargets", "--format", "$(ORIGIN)|$(LABEL)|$(COMPONENT)|$(SITE)", "Created-By: Packages"], { encoding: "utf8" });
  const line = lines.split("\n").find((one) => one.startsWith("Debian|Debian|main|"));
  if (line === undefined) throw new Error("apt knows no archive of Debian: run apt-get update");
  return line.split("|")[3]!;
}

/** debootstrap does not read apt's configuration. */
function proxy(): Record<string, string> {
  const value = /'(.+)'/.exec(execFileSync("apt-config", ["shell", "PROXY", "Acquire::http::Proxy"], { encoding: "utf8" }))?.[1];
  return value === undefined || value === "DIRECT" ? {} : { http_proxy: value };
}

/** Of runs that were killed. */
function removeLeftovers(): void {
  for (const name of readdirSync(dirname(target))) {
    const pid = /\.part-(\d+)(?:\.log)?$/.exec(name)?.[1];
    if (pid !== undefined && !existsSync(`/proc/${pid}`)) rmSync(join(dirname(target), name), { recursive: true, force: true });
  }
}
