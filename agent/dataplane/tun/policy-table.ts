import { type CompiledSelector, compileSelectors, matchesPacket } from "../../ipsec/packet-match.ts";
import type { OutboundPolicy } from "../../ipsec/security-association.ts";
import type { IpPacketView } from "../../wire/ip.ts";
import { readU32 } from "../../wire/octets.ts";

export interface CompiledPolicy<Sa> {
  readonly id: string;
  readonly local: readonly CompiledSelector[];
  readonly remote: readonly CompiledSelector[];
  /** Null: discard. */
  sa: Sa | null;
  discards: boolean;
  lastAcquireAt: number;
}

/**
 * The outbound SPD (RFC 4301 §4.4.1) compiled for lookup: for each prefix length that IPv4 policies use, a map from the masked destination to
 * its policies, longest first. So a lookup costs a few map reads however many policies there are. IPv6 and ranges that are no prefix are
 * kept in a list. A later packet of the same two addresses costs two comparisons.
 */
export class PolicyTable<Sa> {
  readonly #policies = new Map<string, CompiledPolicy<Sa>>();
  #prefixes: { readonly length: number; readonly byNetwork: Map<number, CompiledPolicy<Sa>[]> }[] = [];
  #others: CompiledPolicy<Sa>[] = [];
  #cachedSource = -1;
  #cachedDestination = -1;
  #cached: CompiledPolicy<Sa> | null = null;
  /** A selector looks at ports or protocols: then two addresses alone do not decide. */
  #addressesDecide = true;
  #isStale = false;

  install(policy: OutboundPolicy, sa: Sa | null): void {
    const previous = this.#policies.get(policy.id);
    this.#policies.set(policy.id, {
      id: policy.id,
      local: compileSelectors(policy.localSelectors),
      remote: compileSelectors(policy.remoteSelectors),
      sa,
      discards: policy.action.kind === "discard",
      lastAcquireAt: previous?.lastAcquireAt ?? 0,
    });
    this.#changed();
  }

  remove(id: string): void {
    if (this.#policies.delete(id)) this.#changed();
  }

  clear(): void {
    this.#policies.clear();
    this.#changed();
  }

  /** An SA is gone: what pointed at it sends nothing any more. */
  forget(sa: Sa): void {
    for (const policy of this.#policies.values()) if (policy.sa === sa) policy.sa = null;
  }

  lookup(bytes: Uint8Array, view: IpPacketView): CompiledPolicy<Sa> | null {
    if (this.#isStale) this.#compile();
    if (view.family === 6) return this.#first(this.#others, bytes, view);
    const source = readU32(bytes, view.sourceOffset);
    const destination = readU32(bytes, view.destinationOffset);
    if (source === this.#cachedSource && destination === this.#cachedDestination) return this.#cached;
    const found = this.#lookupV4(destination, bytes, view);
    if (this.#addressesDecide) {
      this.#cachedSource = source;
      this.#cachedDestination = destination;
      this.#cached = found;
    }
    return found;
  }

  #lookupV4(destination: number, bytes: Uint8Array, view: IpPacketView): CompiledPolicy<Sa> | null {
    for (const { length, byNetwork } of this.#prefixes) {
      const candidates = byNetwork.get(masked(destination, length));
      const found = candidates === undefined ? null : this.#first(candidates, bytes, view);
      if (found !== null) return found;
    }
    return this.#first(this.#others, bytes, view);
  }

  #first(candidates: readonly CompiledPolicy<Sa>[], bytes: Uint8Array, view: IpPacketView): CompiledPolicy<Sa> | null {
    for (const policy of candidates) if (matchesPacket(policy.local, policy.remote, bytes, view, "outbound")) return policy;
    return null;
  }

  /** Compiled at the next lookup: thousands of policies installed in a row are compiled once. */
  #changed(): void {
    this.#isStale = true;
    this.#cachedSource = -1;
    this.#cachedDestination = -1;
    this.#cached = null;
  }

  #compile(): void {
    this.#isStale = false;
    const byLength = new Map<number, Map<number, CompiledPolicy<Sa>[]>>();
    this.#others = [];
    this.#addressesDecide = true;
    for (const policy of this.#policies.values()) {
      if ([...policy.local, ...policy.remote].some((selector) => selector.ipProtocol !== 0 || !selector.anyPort)) this.#addressesDecide = false;
      let isOther = false;
      for (const selector of policy.remote) {
        const length = selector.family === 4 ? prefixLength(selector) : null;
        if (length === null) {
          isOther = true;
          continue;
        }
        const byNetwork = byLength.get(length) ?? new Map<number, CompiledPolicy<Sa>[]>();
        byLength.set(length, byNetwork);
        const network = readU32(selector.startAddress, 0);
        const list = byNetwork.get(network) ?? [];
        if (!list.includes(policy)) list.push(policy);
        byNetwork.set(network, list);
      }
      if (isOther) this.#others.push(policy);
    }
    this.#prefixes = [...byLength].sort(([a], [b]) => b - a).map(([length, byNetwork]) => ({ length, byNetwork }));
  }
}

/** The length when the range is a prefix, else null. */
function prefixLength(selector: CompiledSelector): number | null {
  const start = readU32(selector.startAddress, 0);
  const size = readU32(selector.endAddress, 0) - start + 1;
  const bits = Math.log2(size);
  return Number.isInteger(bits) && start % size === 0 ? 32 - bits : null;
}

function masked(address: number, length: number): number {
  return length === 0 ? 0 : address - (address % 2 ** (32 - length));
}
