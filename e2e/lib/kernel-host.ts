import { spawn } from "node:child_process";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { ConsoleHost, type LoneKernelHost } from "./console-host.ts";
import type { Site, ThreeNamespaces } from "./namespaces.ts";

/*
 * A host with a kernel of its own: Debian's user-mode Linux. It is there because a machine that tests need not have ESP in its kernel,
 * and strongSwan's userspace ESP knows no extended sequence numbers.
 */

const program = "/usr/bin/linux.uml";
const init = join(import.meta.dirname, "kernel-host-init.sh");
const device = "right0";

export interface KernelHost extends LoneKernelHost, Pick<Site, "name" | "outsideAddress" | "insideAddress" | "network"> {}

/** What a machine lacks for it: files of the packages user-mode-linux and kmod. */
export function missingForKernelHost(exists: (path: string) => boolean): string[] {
  return [program, "/usr/sbin/modprobe"].filter((path) => !exists(path));
}

/** Puts such a host in the right site's place: the middle's cable leads into it, and its addresses are the site's. Takes about 4 s. */
export async function startKernelHost(net: ThreeNamespaces, directory: string): Promise<KernelHost> {
  await takePlace(net);
  const argv = userModeLinux(directory, 256, [`vec0:transport=tap,ifname=${device}`]);
  const lone = await ConsoleHost.over("user-mode Linux", net.middle.start(argv, { stdio: ["pipe", "pipe", "ignore"] }));
  const { outsideAddress, insideAddress, network } = net.right;
  const host: KernelHost = Object.assign(lone, { name: "kernel host", outsideAddress, insideAddress, network });
  const commands = [
    "ip link set lo up",
    "ip link set vec0 address 02:00:00:00:02:01",
    `ip address add ${outsideAddress}/24 dev vec0`,
    "ip link set vec0 up",
    "ip neigh replace 198.51.100.254 lladdr 02:00:00:00:02:fe dev vec0 nud permanent",
    "ip route add default via 198.51.100.254",
    `ip address add ${insideAddress}/24 dev lo`,
  ];
  await host.run(["bash", "-ec", commands.join("\n")]);
  return host;
}

const extraModules = "EXTRA_MODULES=ccm,chacha_generic,poly1305_generic,chacha20poly1305,veth,dummy,tun";

/** Where a host in user-mode Linux may write. */
export const temporaryDirectory = "/mnt";

/**
 * Such a host without a cable: what runs in it makes namespaces of its own. Takes about 4 s.
 * @param directory an existing directory of its own.
 */
export async function startLoneKernelHost(directory: string, memoryMegabytes = 1_024): Promise<LoneKernelHost> {
  const [command = "", ...args] = userModeLinux(directory, memoryMegabytes, [extraModules]);
  return ConsoleHost.over("user-mode Linux", spawn(command, args, { stdio: ["pipe", "pipe", "ignore"] }));
}

/** The cable to the right site becomes a TAP of the same name and addresses. */
async function takePlace({ middle }: ThreeNamespaces): Promise<void> {
  const commands = [
    `link delete ${device}`,
    `tuntap add ${device} mode tap`,
    `link set ${device} address 02:00:00:00:02:fe up`,
    `address add 198.51.100.254/24 dev ${device}`,
    `neigh replace 198.51.100.1 lladdr 02:00:00:00:02:01 dev ${device} nud permanent`,
  ];
  await middle.run(["ip", "-batch", "-"], { input: `${commands.join("\n")}\n` });
}

/** `directory` gets what it has for itself. */
function userModeLinux(directory: string, memoryMegabytes: number, devices: readonly string[]): string[] {
  mkdirSync(join(directory, "uml"), { recursive: true });
  const kernel = [`mem=${memoryMegabytes}M`, "root=/dev/root", "rootfstype=hostfs", "rootflags=/", "ro", `init=${init}`, "quiet"];
  const consoles = ["con=null", "con0=fd:0,fd:1", `uml_dir=${join(directory, "uml")}/`];
  return [program, ...kernel, ...consoles, ...devices];
}
