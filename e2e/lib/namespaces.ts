import { execFileSync, spawn, type ChildProcess, type StdioOptions } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { removeAtExit } from "./cleanup.ts";
import { runCommand, tryCommand, type CommandResult } from "./run-command.ts";

/**
 * Two sites and the internet between them, as three network namespaces of this machine:
 *
 *   10.1.0.1/24 (inside)  left  192.0.2.1 ── 192.0.2.254  middle  198.51.100.254 ── 198.51.100.1  right  10.2.0.1/24 (inside)
 *
 * The middle routes the outside networks and knows nothing of the inside ones: traffic between the sites passes only
 * through a tunnel, and whatever leaks is visible, and dropped, in the middle. ARP is static and the cables have no IPv6,
 * so a capture in the middle shows only what the gateways sent.
 */
export interface ThreeNamespaces {
  readonly left: Site;
  readonly middle: Namespace;
  readonly right: Site;
  /** Kills what still runs inside and deletes the namespaces. Runs at the end of the process at the latest. */
  remove(): void;
}

export interface Namespace {
  /** Its name under `ip netns`. */
  readonly name: string;
  /** The command line that runs `argv` inside. */
  inside(argv: readonly string[]): string[];
  /** Runs a program inside and returns its standard output; throws when it fails. */
  run(argv: readonly string[], options?: Parameters<typeof runCommand>[1]): Promise<string>;
  /** The same, and returns the exit code instead of throwing. */
  try(argv: readonly string[], options?: Parameters<typeof tryCommand>[1]): Promise<CommandResult>;
  /** Starts a program inside. Its process id is the program's own. */
  start(argv: readonly string[], options?: { stdio?: StdioOptions; env?: Record<string, string>; cwd?: string }): ChildProcess;
}

export interface Site extends Namespace {
  readonly outsideAddress: string;
  readonly insideAddress: string;
  /** The inside network, a prefix. */
  readonly network: string;
  /** The device that faces the middle. */
  readonly outsideDevice: string;
}

const mtu = 1_500;
let made = 0;

/**
 * Builds the three namespaces. Needs root, or a user namespace with a /run of its own.
 * @param prefix what the names start with; the process id and a number follow, so that `sweepLeftovers` can tell whose they are.
 */
export async function makeThreeNamespaces(prefix = "cvi"): Promise<ThreeNamespaces> {
  const base = `${prefix}-${process.pid}-${made++}`;
  const names = { left: `${base}-l`, middle: `${base}-m`, right: `${base}-r` };
  const remove = removeAtExit(`namespaces ${base}`, () => {
    for (const name of Object.values(names)) deleteNamespace(name);
  });
  try {
    for (const name of Object.values(names)) {
      await runCommand(["ip", "netns", "add", name]);
      await runCommand(["ip", "netns", "exec", name, "sysctl", "-qw", ...quietSettings]);
    }
    await ipBatch(names.middle, [
      "link set lo up",
      ...cable("left0", "02:00:00:00:01:fe", names.left, "02:00:00:00:01:01"),
      ...cable("right0", "02:00:00:00:02:fe", names.right, "02:00:00:00:02:01"),
      ...address("left0", "192.0.2.254/24", "192.0.2.1", "02:00:00:00:01:01"),
      ...address("right0", "198.51.100.254/24", "198.51.100.1", "02:00:00:00:02:01"),
    ]);
    await ipBatch(names.left, siteCommands("192.0.2.1/24", "192.0.2.254", "02:00:00:00:01:fe", "10.1.0.1/24"));
    await ipBatch(names.right, siteCommands("198.51.100.1/24", "198.51.100.254", "02:00:00:00:02:fe", "10.2.0.1/24"));
    // Devices made later, such as a tunnel's, may carry IPv6.
    for (const name of Object.values(names)) await runCommand(["ip", "netns", "exec", name, "sysctl", "-qw", "net.ipv6.conf.default.disable_ipv6=0"]);
  } catch (error) {
    remove();
    throw error;
  }
  return {
    left: site(names.left, "192.0.2.1", "10.1.0.1", "10.1.0.0/24"),
    middle: namespace(names.middle),
    right: site(names.right, "198.51.100.1", "10.2.0.1", "10.2.0.0/24"),
    remove,
  };
}

/** Beside the right site another one, with a cable of its own to the middle: 10.3.0.1/24 (inside), 203.0.113.1 outside. It goes with `remove`. */
export async function addThirdSite(net: ThreeNamespaces): Promise<Site & { remove(): void }> {
  const name = `${net.right.name}2`;
  const remove = removeAtExit(`namespace ${name}`, () => deleteNamespace(name));
  try {
    await runCommand(["ip", "netns", "add", name]);
    await runCommand(["ip", "netns", "exec", name, "sysctl", "-qw", ...quietSettings]);
    await ipBatch(net.middle.name, [
      ...cable("third0", "02:00:00:00:03:fe", name, "02:00:00:00:03:01"),
      ...address("third0", "203.0.113.254/24", "203.0.113.1", "02:00:00:00:03:01"),
    ]);
    await ipBatch(name, siteCommands("203.0.113.1/24", "203.0.113.254", "02:00:00:00:03:fe", "10.3.0.1/24"));
    await runCommand(["ip", "netns", "exec", name, "sysctl", "-qw", "net.ipv6.conf.default.disable_ipv6=0"]);
  } catch (error) {
    remove();
    throw error;
  }
  return { ...site(name, "203.0.113.1", "10.3.0.1", "10.3.0.0/24"), remove };
}

/**
 * Deletes the namespaces that a process which no longer exists left behind (it was killed with SIGKILL), and ends what runs in them.
 * @returns their names.
 */
export function sweepLeftovers(prefix = "cvi"): string[] {
  if (!existsSync("/run/netns")) return [];
  const leftovers = readdirSync("/run/netns").filter((name) => {
    const owner = new RegExp(`^${prefix}-(\\d+)-`).exec(name)?.[1];
    return owner !== undefined && !existsSync(`/proc/${owner}`);
  });
  for (const name of leftovers) deleteNamespace(name);
  return leftovers;
}

/** Router-like, silent, and without address checks in the way of a tunnel. */
const quietSettings = [
  "net.ipv4.ip_forward=1",
  "net.ipv4.conf.all.rp_filter=0",
  "net.ipv4.conf.default.rp_filter=0",
  "net.ipv4.conf.all.send_redirects=0",
  "net.ipv4.conf.default.send_redirects=0",
  // Group 0 alone: in a user namespace no other exists.
  "net.ipv4.ping_group_range=0 0",
  // The cables carry IPv4 only: with IPv6 on, a device that comes up reports its multicast groups.
  "net.ipv6.conf.default.disable_ipv6=1",
];

function cable(middleDevice: string, middleMac: string, siteName: string, siteMac: string): string[] {
  return [
    `link add ${middleDevice} address ${middleMac} mtu ${mtu} type veth peer name out0 address ${siteMac} mtu ${mtu} netns ${siteName}`,
    `link set ${middleDevice} up`,
  ];
}

function address(device: string, prefix: string, neighbour: string, neighbourMac: string): string[] {
  return [`address add ${prefix} dev ${device}`, `neigh replace ${neighbour} lladdr ${neighbourMac} dev ${device} nud permanent`];
}

function siteCommands(outside: string, gateway: string, gatewayMac: string, inside: string): string[] {
  return [
    "link set lo up",
    "link set out0 up",
    ...address("out0", outside, gateway, gatewayMac),
    `route add default via ${gateway}`,
    // The inside network is a cable whose other end stays here: not every kernel has dummy devices.
    "link add in0 type veth peer name in0end",
    "link set in0end up",
    "link set in0 up",
    `address add ${inside} dev in0`,
  ];
}

async function ipBatch(name: string, commands: readonly string[]): Promise<void> {
  await runCommand(["ip", "-n", name, "-batch", "-"], { input: `${commands.join("\n")}\n` });
}

function site(name: string, outsideAddress: string, insideAddress: string, network: string): Site {
  return { ...namespace(name), outsideAddress, insideAddress, network, outsideDevice: "out0" };
}

function namespace(name: string): Namespace {
  const inside = (argv: readonly string[]) => ["ip", "netns", "exec", name, ...argv];
  return {
    name,
    inside,
    run: (argv, options) => runCommand(inside(argv), options),
    try: (argv, options) => tryCommand(inside(argv), options),
    start(argv, options = {}) {
      const [program, ...args] = inside(argv);
      return spawn(program ?? "ip", args, {
        stdio: options.stdio ?? ["ignore", "pipe", "pipe"],
        env: { ...process.env, ...options.env },
        ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
      });
    },
  };
}

function deleteNamespace(name: string): void {
  if (!existsSync(`/run/netns/${name}`)) return;
  const pids = execFileSync("ip", ["netns", "pids", name], { encoding: "utf8" }).split("\n").filter(Boolean);
  for (const pid of pids) {
    try {
      process.kill(Number(pid), "SIGKILL");
    } catch (error) {
      // It ended by itself between the listing and the signal.
      if (!(error instanceof Error && "code" in error && error.code === "ESRCH")) throw error;
    }
  }
  execFileSync("ip", ["netns", "delete", name]);
}
