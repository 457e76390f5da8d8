import type { EspSpi } from "../../wire/ikev2/message-types.ts";
import { noDrops, type SaCounters } from "../data-plane.ts";
import type { CardOutcome } from "./card-offload.ts";
import type { PolicyTemplate } from "./policy-messages.ts";
import type { KernelSa, SaReport } from "./sa-messages.ts";
import { familyOfAddress, type KernelSelector } from "./xfrm-structures.ts";

export type Facts = Omit<KernelSa, "keys" | "reqid" | "selector" | "ifId" | "offload"> & { readonly childSaId: string; readonly spi: EspSpi };

/** An SA of ours in the kernel. */
export interface BookedSa {
  facts: Facts;
  readonly reqid: number;
  /** Inbound: what may come out of it, as the kernel has it for packets that go out. */
  readonly selectors: readonly KernelSelector[];
  /** What it had counted when it was last seen; the kernel deletes an SA at its hard limit. */
  last: SaReport | null;
  /** Of its limits. */
  told: "nothing" | "soft" | "hard";
  /** Null: no network card is wanted. */
  readonly card: CardOutcome | null;
}

/** `last`: null when it has not been seen yet. */
export function countersOf(last: SaReport | null): SaCounters {
  if (last === null) return { packets: 0, bytes: 0, lastUsedAt: 0, drops: noDrops };
  const drops = { ...noDrops, replay: last.replayed, integrity: last.integrityFailed };
  return { packets: last.packets, bytes: last.bytes, lastUsedAt: last.packets === 0 ? 0 : last.lastUsedAt * 1_000, drops };
}

export function isPastSoftLimit({ bytes, packets }: SaReport, { softBytes = Infinity, softPackets = Infinity }: Facts): boolean {
  return bytes >= softBytes || packets >= softPackets;
}

/** In transport mode the ends are the packet's own. */
export function templateOf(facts: Facts, reqid: number): PolicyTemplate {
  const { local, remote, spi, protocol, mode } = facts;
  const isTunnel = mode === "tunnel";
  return {
    family: familyOfAddress(local.address),
    source: isTunnel ? local.address : null,
    destination: isTunnel ? remote.address : null,
    spi,
    reqid,
    protocol,
    mode,
  };
}
