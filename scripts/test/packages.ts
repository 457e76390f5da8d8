import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";

/** What the tests need of the operating system. strongSwan without its starter: nothing of it starts by itself. */
const debianPackages = [
  "chromium",
  "strongswan-charon",
  "strongswan-swanctl",
  "libcharon-extra-plugins",
  "libstrongswan-extra-plugins",
  "libstrongswan-standard-plugins",
  "iproute2",
  "iputils-ping",
  "procps",
  "openssl",
  "iperf3",
  "tcpdump",
  "tshark",
  "nftables",
  // For the peers that are newer than this Debian.
  "debootstrap",
  // For the peers with a kernel of their own.
  "user-mode-linux",
  "kmod",
  // For the one with Debian's own kernel, which has xfrm interfaces.
  "qemu-system-x86",
  // For the gateway's optional native function.
  "gcc",
  "libc6-dev",
  // Its AES-GCM, which the gateway takes where it is. Of x86 alone.
  ...(process.arch === "x64" ? ["libipsec-mb1"] : []),
];

/** Which program each package is there for, to tell on a machine that has no dpkg. */
const programs = ["/usr/lib/ipsec/charon", "/usr/sbin/swanctl", "/usr/bin/iperf3", "/usr/bin/tcpdump"];

/**
 * Installs what is missing on Debian as root. Elsewhere it returns the sentence that says what to install, and tests that need
 * it will fail or be skipped.
 */
export function ensurePackages(say: (line: string) => void): string | undefined {
  const missing = missingPackages();
  if (missing.length === 0) return undefined;
  const advice = `install ${missing.join(" ")} (on Debian: apt-get install ${missing.join(" ")})`;
  if (!existsSync("/usr/bin/apt-get")) return `This is no Debian: ${advice}, then run the tests again.`;
  if (process.getuid?.() !== 0) return `Not root: ${advice}, and run the tests as root for those that need network namespaces.`;
  say(`installing ${missing.join(" ")}`);
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
  const steps = [
    ["update", "-qq"],
    ["install", "-y", "-qq", "--no-install-recommends", "-o", "Dpkg::Use-Pty=0", ...missing],
  ];
  for (const step of steps) {
    const { status } = spawnSync("apt-get", step, { stdio: ["ignore", "inherit", "inherit"], env });
    // A list that cannot be refreshed may still do for the installation.
    if (status !== 0 && step[0] === "install") return `apt-get ${step.join(" ")} failed: ${advice}.`;
  }
  return undefined;
}

function missingPackages(): string[] {
  if (!existsSync("/usr/bin/dpkg-query")) return programs.every((program) => existsSync(program)) ? [] : debianPackages;
  const { stdout } = spawnSync("dpkg-query", ["-W", "-f", `\${Package} \${Status}\\n`, ...debianPackages], { encoding: "utf8" });
  const installed = new Set(
    stdout
      .split("\n")
      .filter((line) => line.endsWith(" install ok installed"))
      .map((line) => line.split(" ")[0]),
  );
  return debianPackages.filter((name) => !installed.has(name));
}
