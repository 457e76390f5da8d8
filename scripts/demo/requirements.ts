import { spawnSync } from "node:child_process";
import { accessSync, constants, existsSync } from "node:fs";

/** How the demo gets its network namespaces: as root directly, or as root of a user namespace of its own. */
export type Privileges = { readonly kind: "root" } | { readonly kind: "user-namespace"; readonly prefix: readonly string[] };

/** Root of its own user, network and mount namespace, with a /run that `ip netns` can write. */
const userNamespace = ["unshare", "--user", "--map-root-user", "--net", "--mount", "sh", "-c", 'mount -t tmpfs tmpfs /run && exec "$@"', "sh"];

/** Throws an error whose message says exactly what is missing and what to do about it. */
export function findPrivileges(): Privileges {
  if (process.platform !== "linux")
    throw new Error(`The demo's gateways need Linux; this is ${process.platform}. Run it in a Linux machine or virtual machine.`);
  if (!succeeds(["ip", "-V"])) throw new Error("The program `ip` is missing: install iproute2 (on Debian: apt-get install iproute2).");
  if (!existsSync("/dev/net/tun"))
    throw new Error("/dev/net/tun is missing: load the kernel module with `modprobe tun`, or give the container --device /dev/net/tun.");
  if (process.getuid?.() === 0 && succeeds(["unshare", "--net", "true"])) return { kind: "root" };
  const who = process.getuid?.() === 0 ? "This root may not make network namespaces (a container needs --cap-add NET_ADMIN --cap-add SYS_ADMIN)" : "Not root";
  try {
    accessSync("/dev/net/tun", constants.R_OK | constants.W_OK);
  } catch {
    throw new Error(`${who}, and /dev/net/tun may not be opened by this user: run the demo as root, or allow it with \`chmod 0666 /dev/net/tun\`.`);
  }
  if (succeeds([...userNamespace, "ip", "netns", "add", "culvert-try"])) return { kind: "user-namespace", prefix: userNamespace };
  throw new Error(
    `${who}, and this kernel does not let a user make namespaces (sysctl kernel.unprivileged_userns_clone, user.max_user_namespaces, kernel.apparmor_restrict_unprivileged_userns): run the demo as root.`,
  );
}

function succeeds(argv: readonly string[]): boolean {
  const [program = "", ...args] = argv;
  return spawnSync(program, args, { stdio: "ignore" }).status === 0;
}
