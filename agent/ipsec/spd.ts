import type { IpPacketView } from "../wire/ip.ts";
import { type CompiledSelector, compileSelectors, matchesPacket } from "./packet-match.ts";
import type { OutboundPolicy } from "./security-association.ts";

interface Entry {
  readonly policy: OutboundPolicy;
  readonly local: readonly CompiledSelector[];
  readonly remote: readonly CompiledSelector[];
}

/**
 * The outbound SPD (RFC 4301 §4.4.1): an ordered list, the first policy that matches decides. The order is that of first
 * installation; a policy installed again under its id is replaced in one step and keeps its place.
 */
export class OutboundSpd {
  /** A Map keeps a key's place when its value is replaced. */
  readonly #entries = new Map<string, Entry>();

  install(policy: OutboundPolicy): void {
    this.#entries.set(policy.id, {
      policy,
      local: compileSelectors(policy.localSelectors),
      remote: compileSelectors(policy.remoteSelectors),
    });
  }

  /** False when there was none of this id. */
  delete(id: string): boolean {
    return this.#entries.delete(id);
  }

  clear(): void {
    this.#entries.clear();
  }

  /** The policy of a packet on its way out; null: no policy, so it is dropped (RFC 4301 §5.1). */
  lookup(bytes: Uint8Array, view: IpPacketView): OutboundPolicy | null {
    for (const entry of this.#entries.values()) {
      if (matchesPacket(entry.local, entry.remote, bytes, view, "outbound")) return entry.policy;
    }
    return null;
  }
}
