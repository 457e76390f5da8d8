import { existsSync, mkdtempSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gcmLibrary } from "../agent/dataplane/ffi/gcm-library.ts";
import { loadNativeBatch } from "../agent/dataplane/ffi/native.ts";
import { type Context, linkId, peerConfiguration } from "../e2e/interop/scenario.ts";
import { type CharonConfig, startCharon } from "../e2e/lib/charon.ts";
import type { Site, ThreeNamespaces } from "../e2e/lib/namespaces.ts";
import { withNewerGcmLibrary } from "../e2e/lib/newer-gcm-library.ts";
import type { Section } from "../e2e/lib/swanctl-format.ts";
import { startWireguard } from "./wireguard.ts";

export type ContenderName = "culvert" | "culvert-newer-library" | "culvert-typescript-alone" | "strongswan-kernel-libipsec" | "wireguard-go" | "veth";
export type CipherName = "aes128gcm16" | "aes256gcm16" | "chacha20poly1305";

/** A way for packets between the two sites. */
export interface Contender {
  readonly name: ContenderName;
  readonly label: string;
  /** WireGuard has but one; without a tunnel there is none. */
  readonly ciphers: readonly CipherName[];
  /** Prepares it; it ends with the context and its namespaces. @throws Error with a sentence when it cannot be had here. */
  readonly start: (context: Context, cipher: CipherName) => Promise<void>;
}

/** What a contender needs is not on this machine; all else that happens to one of ours is a fault. */
export class CannotBeHad extends Error {}

const nativeFunction = fileURLToPath(new URL("../dist/native/aead-batch.so", import.meta.url));
const bundle = fileURLToPath(new URL("../dist/agent/main.mjs", import.meta.url));
const all: readonly CipherName[] = ["aes128gcm16", "aes256gcm16", "chacha20poly1305"];

export const contenders: readonly Contender[] = [
  {
    name: "culvert",
    label: "Culvert",
    ciphers: all,
    async start(context, cipher) {
      const isCurrent = existsSync(nativeFunction) && loadNativeBatch(nativeFunction) !== null;
      if (!isCurrent) throw new CannotBeHad("the native function was not compiled: install a C compiler and run set-up");
      await startWithLibrary(context, cipher, {});
    },
  },
  {
    name: "culvert-newer-library",
    label: "Culvert with libipsec-mb2 of Debian 13",
    ciphers: ["aes128gcm16", "aes256gcm16"],
    start: (context, cipher) => startOurs(context, cipher, newerLibrary(context.directory)),
  },
  {
    name: "culvert-typescript-alone",
    label: "Culvert without its optional native function",
    ciphers: all,
    start: (context, cipher) => startWithLibrary(context, cipher, { CULVERT_NATIVE: "off" }),
  },
  {
    name: "strongswan-kernel-libipsec",
    label: "strongSwan 5.9, userspace ESP (kernel-libipsec)",
    ciphers: all,
    async start(context, cipher) {
      await startBeside(context, context.net.right, "right", charonAtRight(cipher));
      const left = await startBeside(context, context.net.left, "left", charonAtLeft(cipher));
      await left.initiate("net");
    },
  },
  {
    name: "wireguard-go",
    label: "wireguard-go 2026-05",
    ciphers: ["chacha20poly1305"],
    start: ({ net }) => startWireguard(net),
  },
  { name: "veth", label: "no tunnel (veth)", ciphers: ["aes128gcm16"], start: ({ net }) => routePlainly(net) },
];

/** With AES-GCM of this Debian's library, and never of OpenSSL in its place. */
async function startWithLibrary(context: Context, cipher: CipherName, env: Record<string, string>): Promise<void> {
  if (gcmLibrary() === null) throw new CannotBeHad("there is no libIPSec_MB: on Debian, apt-get install libipsec-mb1");
  await startOurs(context, cipher, env);
}

function newerLibrary(directory: string): Record<string, string> {
  try {
    return withNewerGcmLibrary(directory);
  } catch (error) {
    throw new CannotBeHad(error instanceof Error ? error.message : String(error));
  }
}

/** Our gateway at both ends, as it runs: the bundle. */
export async function startOurs(context: Context, cipher: CipherName, env: Record<string, string>): Promise<void> {
  const esp = { proposals: [proposal(cipher)] };
  await context.startUsAtRight({ esp }, { env, program: bundle });
  const left = await context.startUs({ esp }, { env, program: bundle });
  await left.waitUntilUp(linkId);
}

function proposal(cipher: CipherName): string {
  return `${cipher}-x25519`;
}

/** charon lives as long as its namespace: removing that ends it. */
function startBeside(context: Context, site: Site, name: string, config: CharonConfig) {
  return startCharon(site, mkdtempSync(join(context.directory, name)), config);
}

/** charon at both ends. `child`: more of the child's settings. */
export function charonAtRight(cipher: CipherName, child: Section = {}): CharonConfig {
  return peerConfiguration({ child: { esp_proposals: proposal(cipher), ...child } });
}

export function charonAtLeft(cipher: CipherName, child: Section = {}): CharonConfig {
  return {
    connections: {
      site: {
        version: 2,
        local_addrs: "192.0.2.1",
        remote_addrs: "198.51.100.1",
        proposals: "aes256gcm16-prfsha384-x25519",
        local: { auth: "psk", id: "left.example" },
        remote: { auth: "psk", id: "right.example" },
        children: { net: { local_ts: "10.1.0.0/24", remote_ts: "10.2.0.0/24", esp_proposals: proposal(cipher), ...child } },
      },
    },
    secrets: peerConfiguration({}).secrets ?? {},
    certificates: [],
    authorities: [],
    daemon: {},
  };
}

/** The middle learns the inside networks: the limit of the cables. */
async function routePlainly(net: ThreeNamespaces): Promise<void> {
  await net.middle.run(["ip", "route", "add", net.left.network, "via", net.left.outsideAddress]);
  await net.middle.run(["ip", "route", "add", net.right.network, "via", net.right.outsideAddress]);
}
