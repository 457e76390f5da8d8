import { mkdtempSync } from "node:fs";
import { join } from "node:path";
import type { Context } from "../e2e/interop/scenario.ts";
import { startCharon } from "../e2e/lib/charon.ts";
import type { Site } from "../e2e/lib/namespaces.ts";
import { type CipherName, charonAtLeft, charonAtRight, startOurs } from "./contenders.ts";

export type KernelContenderName = "culvert" | "strongswan-kernel-netlink";

/** Who gives the kernel its SAs and policies at both ends. */
export interface KernelContender {
  readonly name: KernelContenderName;
  readonly label: string;
  readonly start: (context: Context, cipher: CipherName) => Promise<void>;
}

/** Both ends have the same window for replays, which the kernel looks at for every packet. */
const replayWindow = { replay_window: "1024" };

export const kernelContenders: readonly KernelContender[] = [
  { name: "culvert", label: "Culvert", start: (context, cipher) => startOurs(context, cipher, {}) },
  {
    name: "strongswan-kernel-netlink",
    label: "strongSwan 5.9 (kernel-netlink)",
    async start(context, cipher) {
      const { left, right } = context.net;
      const start = (site: Site, config: Parameters<typeof startCharon>[2]) =>
        startCharon(site, mkdtempSync(join(context.directory, "charon")), { ...config, esp: "kernel" });
      await start(right, charonAtRight(cipher, replayWindow));
      await (await start(left, charonAtLeft(cipher, replayWindow))).initiate("net");
    },
  },
];

export type KernelMeasureName = "tcp" | "packets64" | "tcpAes256";

export interface KernelMeasure {
  readonly name: KernelMeasureName;
  readonly label: string;
  readonly cipher: CipherName;
  /** Of UDP datagrams with their IP header; null: one TCP stream. */
  readonly packetOctets: number | null;
}

export const kernelMeasures: readonly KernelMeasure[] = [
  { name: "tcp", label: "One TCP stream, AES-128-GCM, Mbit/s", cipher: "aes128gcm16", packetOctets: null },
  { name: "packets64", label: "64-octet packets a second, AES-128-GCM", cipher: "aes128gcm16", packetOctets: 64 },
  { name: "tcpAes256", label: "One TCP stream, AES-256-GCM, Mbit/s", cipher: "aes256gcm16", packetOctets: null },
];

export function sampleKey(contender: KernelContenderName, measure: KernelMeasureName): string {
  return `${contender} ${measure}`;
}
