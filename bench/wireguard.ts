import { generateKeyPairSync, type KeyObject } from "node:crypto";
import { existsSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { newerPeerRoot } from "../e2e/lib/newer-peer.ts";
import type { Namespace, Site, ThreeNamespaces } from "../e2e/lib/namespaces.ts";
import { pollUntil } from "../e2e/lib/poll.ts";

const listenPort = 51_820;
/** Outer IPv4, UDP and WireGuard's own header and tag: what its tools take off 1,500. */
const tunnelMtu = 1_420;
const socketDirectory = "/var/run/wireguard";

/**
 * wireguard-go at both sites: the userspace WireGuard of the newer Debian (newer-peer.ts), configured through its own socket.
 * It lives as long as the namespaces. @throws Error with one sentence when it is not there.
 */
export async function startWireguard(net: ThreeNamespaces): Promise<void> {
  const root = newerPeerRoot();
  const program = root === null ? null : join(root, "usr/bin/wireguard-go");
  if (program === null || !existsSync(program)) throw new Error("wireguard-go is not there: it comes with the newer Debian that `npm run interop` makes");
  const [left, right] = [generateKeyPairSync("x25519"), generateKeyPairSync("x25519")];
  await startEnd(program, net.left, left.privateKey, { key: right.publicKey, site: net.right });
  await startEnd(program, net.right, right.privateKey, { key: left.publicKey, site: net.left });
}

async function startEnd(program: string, own: Site, privateKey: KeyObject, peer: { readonly key: KeyObject; readonly site: Site }): Promise<void> {
  const device = deviceName(own);
  const socket = join(socketDirectory, `${device}.sock`);
  const running = own.start([program, "-f", device], { stdio: "ignore", env: { LOG_LEVEL: "silent" } });
  // Killed, it leaves it behind.
  running.once("close", () => rmSync(socket, { force: true }));
  // The file is there a moment before anybody listens.
  await pollUntil(`wireguard-go to listen at ${socket}`, 5_000, async () => ((await accepts(socket)) ? true : undefined));
  await configure(socket, [
    `private_key=${rawKey(privateKey, "d")}`,
    `listen_port=${listenPort}`,
    `public_key=${rawKey(peer.key, "x")}`,
    `endpoint=${peer.site.outsideAddress}:${listenPort}`,
    `allowed_ip=${peer.site.network}`,
  ]);
  await own.run(["ip", "link", "set", device, "mtu", String(tunnelMtu), "up"]);
  await own.run(["ip", "route", "add", peer.site.network, "dev", device, "src", own.insideAddress]);
}

/** Its sockets lie in one directory of the machine, and a device's name has 15 characters at most. */
function deviceName(site: Namespace): string {
  const [, pid, rest] = /-(\d+)-(.*)$/.exec(site.name) ?? [];
  return `wg${pid ?? "0"}${(rest ?? "").replace("-", "")}`.slice(0, 15);
}

function accepts(socket: string): Promise<boolean> {
  return new Promise((resolve) => {
    const connection = connect(socket, () => {
      connection.destroy();
      resolve(true);
    });
    connection.on("error", () => resolve(false));
  });
}

/** The cross-platform configuration protocol: `set=1`, lines of key=value, an empty line; the answer ends with errno=0. */
async function configure(socket: string, lines: readonly string[]): Promise<void> {
  const answer = await new Promise<string>((resolve, reject) => {
    let text = "";
    const connection = connect(socket);
    connection.on("error", reject);
    connection.on("data", (bytes) => {
      text += bytes.toString("latin1");
      if (text.endsWith("\n\n")) connection.end();
    });
    connection.on("close", () => resolve(text));
    connection.write(`set=1\n${lines.join("\n")}\n\n`);
  });
  if (!/^errno=0$/m.test(answer)) throw new Error(`wireguard-go refused its configuration: ${answer.trim()}`);
}

function rawKey(key: KeyObject, part: "d" | "x"): string {
  const value = key.export({ format: "jwk" })[part];
  if (value === undefined) throw new TypeError("no X25519 key");
  return Buffer.from(value, "base64url").toString("hex");
}
