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
  /** Since when packets have been refused because there is no SA; null: none has been since there was one. */
  refusingSince: number | null;
}

/**
 * The outbound SPD (RFC 4301 §4.4.1) compiled for lookup: for each prefix length that policies of a family use, a map from the masked
 * destination to its policies, longest first. So a lookup costs a few map reads however many policies there are. Ranges that are no prefix
 * are kept in a list. A later packet of the same two addresses costs a comparison of them.
 */
export class PolicyTable<Sa> {
  readonly #policies = new Map<string, CompiledPolicy<Sa>>();
  #prefixes: Readonly<Record<4 | 6, readonly PrefixLength<Sa>[]>> = { 4: [], 6: [] };
  #others: CompiledPolicy<Sa>[] = [];
  readonly #cachedV4 = makeCache<Sa>();
  readonly #cachedV6 = makeCache<Sa>();
  /** A selector looks at ports or protocols: then two addresses alone do not decide. */
  #addressesDecide = true;
  #isStale = false;

  install(policy: OutboundPolicy, sa: Sa | null): void {
    const discards = policy.action.kind === "discard";
    const local = compileSelectors(policy.localSelectors);
    const remote = compileSelectors(policy.remoteSelectors);
    const previous = this.#policies.get(policy.id);
    // A rekey changes the SA alone: of thousands of links one does so all the time, and nothing is compiled for it.
    if (previous !== undefined && equalSelectors(previous.local, local) && equalSelectors(previous.remote, remote)) {
      Object.assign(previous, { sa, discards });
      return;
    }
    this.#policies.set(policy.id, {
      id: policy.id,
      local,
      remote,
      sa,
      discards,
      lastAcquireAt: previous?.lastAcquireAt ?? Number.NEGATIVE_INFINITY,
      refusingSince: sa === null ? (previous?.refusingSince ?? null) : null,
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
    const cache = view.family === 4 ? this.#cachedV4 : this.#cachedV6;
    // Source and destination lie one behind the other in both headers.
    const octets = view.family === 4 ? 8 : 32;
    if (cache.isFilled && sameOctets(bytes, view.sourceOffset, cache.addresses, octets)) return cache.policy;
    const found = this.#search(bytes, view);
    if (this.#addressesDecide) {
      for (let i = 0; i < octets; i++) cache.addresses[i] = bytes[view.sourceOffset + i]!;
      cache.policy = found;
      cache.isFilled = true;
    }
    return found;
  }

  #search(bytes: Uint8Array, view: IpPacketView): CompiledPolicy<Sa> | null {
    for (const { length, byNetwork } of this.#prefixes[view.family]) {
      const candidates = byNetwork.get(networkKey(bytes, view.destinationOffset, view.family, length));
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
    for (const cache of [this.#cachedV4, this.#cachedV6]) {
      cache.isFilled = false;
      cache.policy = null;
    }
  }

  #compile(): void {
    this.#isStale = false;
    const byLength = { 4: new Map<number, ByNetwork<Sa>>(), 6: new Map<number, ByNetwork<Sa>>() };
    this.#others = [];
    this.#addressesDecide = true;
    for (const policy of this.#policies.values()) {
      if ([...policy.local, ...policy.remote].some((selector) => selector.ipProtocol !== 0 || !selector.anyPort)) this.#addressesDecide = false;
      let isOther = false;
      for (const selector of policy.remote) {
        const length = prefixLength(selector);
        if (length === null) {
          isOther = true;
          continue;
        }
        const byNetwork = byLength[selector.family].get(length) ?? new Map<number, CompiledPolicy<Sa>[]>();
        byLength[selector.family].set(length, byNetwork);
        const key = selector.family === 4 ? maskedWord(selector.startWord, length) : hashedNetwork(selector.startAddress, 0, length);
        const list = byNetwork.get(key);
        // A list that grew from nothing would have room for 17.
        if (list === undefined) byNetwork.set(key, [policy]);
        else if (!list.includes(policy)) list.push(policy);
      }
      if (isOther) this.#others.push(policy);
    }
    this.#prefixes = { 4: longestFirst(byLength[4]), 6: longestFirst(byLength[6]) };
  }
}

type ByNetwork<Sa> = Map<number, CompiledPolicy<Sa>[]>;

interface PrefixLength<Sa> {
  readonly length: number;
  readonly byNetwork: ByNetwork<Sa>;
}

function longestFirst<Sa>(byLength: ReadonlyMap<number, ByNetwork<Sa>>): PrefixLength<Sa>[] {
  return [...byLength].sort(([a], [b]) => b - a).map(([length, byNetwork]) => ({ length, byNetwork }));
}

interface LookupCache<Sa> {
  isFilled: boolean;
  readonly addresses: Uint8Array;
  policy: CompiledPolicy<Sa> | null;
}

function makeCache<Sa>(): LookupCache<Sa> {
  return { isFilled: false, addresses: new Uint8Array(32), policy: null };
}

function sameOctets(bytes: Uint8Array, at: number, others: Uint8Array, octets: number): boolean {
  for (let i = 0; i < octets; i++) if (bytes[at + i] !== others[i]) return false;
  return true;
}

/** The length when the range is a prefix, else null: both ends share their first bits, and the rest is all zeros and all ones. */
function prefixLength(selector: CompiledSelector): number | null {
  if (selector.family === 6) return prefixLengthOf(selector.startAddress, selector.endAddress);
  const hostBits = (selector.startWord ^ selector.endWord) >>> 0;
  const length = Math.clz32(hostBits);
  const isPrefix = hostBits === 2 ** (32 - length) - 1 && maskedWord(selector.startWord, length) === (selector.startWord | 0);
  return isPrefix ? length : null;
}

function prefixLengthOf(start: Uint8Array, end: Uint8Array): number | null {
  let length = 0;
  while (length < start.length * 8 && bitOf(start, length) === bitOf(end, length)) length++;
  for (let bit = length; bit < start.length * 8; bit++) if (bitOf(start, bit) !== 0 || bitOf(end, bit) !== 1) return null;
  return length;
}

function bitOf(address: Uint8Array, bit: number): number {
  return (address[bit >> 3]! >> (7 - (bit & 7))) & 1;
}

/** A number for the first `length` bits of the address: of IPv4 the network itself. */
function networkKey(bytes: Uint8Array, at: number, family: 4 | 6, length: number): number {
  return family === 4 ? maskedWord(readU32(bytes, at), length) : hashedNetwork(bytes, at, length);
}

/**
 * Of IPv6 a hash, because no number holds 128 bits and a string would be an allocation for every packet. Two networks may have the same;
 * whoever looks up compares addresses all the same.
 */
function hashedNetwork(bytes: Uint8Array, at: number, length: number): number {
  let hash = length;
  for (let word = 0; word * 32 < length; word++) {
    hash = Math.imul(hash ^ maskedWord(readU32(bytes, at + word * 4), Math.min(32, length - word * 32)), 0x9e3779b1);
    hash ^= hash >>> 15;
  }
  return hash;
}

/** Signed, as keys of a map should be: V8 keeps them in a word, and a number from 2^31 on would be an allocation for every lookup. */
function maskedWord(word: number, length: number): number {
  return length === 0 ? 0 : word & (-1 << (32 - length));
}

function equalSelectors(a: readonly CompiledSelector[], b: readonly CompiledSelector[]): boolean {
  return a.length === b.length && a.every((one, index) => equalSelector(one, b[index]!));
}

function equalSelector(a: CompiledSelector, b: CompiledSelector): boolean {
  return (
    a.family === b.family &&
    a.ipProtocol === b.ipProtocol &&
    a.startPort === b.startPort &&
    a.endPort === b.endPort &&
    a.startWord === b.startWord &&
    a.endWord === b.endWord &&
    sameOctets(a.startAddress, 0, b.startAddress, a.startAddress.length) &&
    sameOctets(a.endAddress, 0, b.endAddress, a.endAddress.length)
  );
}
