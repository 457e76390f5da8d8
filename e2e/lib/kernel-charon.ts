import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { attachCharon, daemonSettings, type Charon, type CharonConfig } from "./charon.ts";
import { startKernelHost, type KernelHost } from "./kernel-host.ts";
import type { ThreeNamespaces } from "./namespaces.ts";

/** strongSwan with the ESP of its kernel, and the host that both are on. */
export interface KernelCharon {
  readonly charon: Charon;
  readonly host: KernelHost;
}

const port = 4_502;

/**
 * Starts a host in user-mode Linux in the right site's place, and charon on it. To end charon is to end the host.
 * @param prepare is done with the host before charon starts, which looks at the host's addresses.
 * @param directory an existing directory of its own; the host sees it, and cannot write there.
 */
export async function startKernelCharon(
  net: ThreeNamespaces,
  directory: string,
  config: CharonConfig,
  prepare: (host: KernelHost) => Promise<void> = async () => undefined,
): Promise<KernelCharon> {
  const host = await startKernelHost(net, directory);
  await prepare(host);
  const settings = join(directory, "strongswan.conf");
  const log = { default: 1, ike: 2, flush_line: true, time_format: "%H:%M:%S", time_add_ms: true };
  const extra = { ...config.daemon, plugins: { vici: { socket: `tcp://${host.outsideAddress}:${port}` } } };
  writeFileSync(settings, daemonSettings("kernel-netlink", { stdout: log }, extra));
  await host.launch(`STRONGSWAN_CONF='${settings}' /usr/lib/ipsec/charon`);
  const access = { uri: `tcp://${host.outsideAddress}:${port}`, inside: net.middle.inside, log: () => host.log() };
  const charon = await attachCharon(host.process, directory, access, () => undefined, config);
  return { charon, host };
}
