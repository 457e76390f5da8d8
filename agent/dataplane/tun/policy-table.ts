import { type CompiledSelector, compileSelectors, isOfAddresses, matchesPacket } from "../../ipsec/packet-match.ts";
import type { OutboundPolicy } from "../../ipsec/security-association.ts";
import type { IpPacketView } from "../../wire/ip.ts";
import { readU32 } from "../../wire/octets.ts";
import { type NetworkRow, NetworkRows, NO_ROW } from "./network-rows.ts";

/** Of the destination in the header. */
const IPV4_DESTINATION = 16;
/** No policy's number. */
export const NO_POLICY = -1;

export interface CompiledPolicy<Sa> {
  /** Among those that the table was compiled of; another one each time. */
  number: number;
  readonly id: string;
  readonly local: readonly CompiledSelector[];
  readonly remote: readonly CompiledSelector[];
  /** Null: discard. `PolicyTable.saOf` says the same. */
  sa: Sa | null;
  discards: boolean;
  lastAcquireAt: number;
  /** Since when packets have been refused because there is no SA; null: none has been since there was one. */
  refusingSince: number | null;
}

/**
 * The outbound SPD (RFC 4301 §4.4.1) compiled for lookup: for each prefix length that policies of a family use, what leads from the masked
 * destination to its policies, longest first: of IPv4 an array (network-rows.ts), of IPv6 a map. So a lookup costs a few reads however many policies there are. Ranges that are no prefix
 * are kept in a list. A later packet of the same two addresses costs a comparison of them.
 */
export class PolicyTable<Sa> {
  readonly #policies = new Map<string, CompiledPolicy<Sa>>();
  /** As the rows of IPv4 number them. */
  #numbered: readonly CompiledPolicy<Sa>[] = [];
  /** Of each its SA. */
  #sas: (Sa | null)[] = [];
  #prefixesV4: readonly PrefixV4[] = [];
  #prefixesV6: readonly PrefixV6<Sa>[] = [];
  #others: CompiledPolicy<Sa>[] = [];
  readonly #cachedV4 = makeCache();
  readonly #cachedV6 = makeCache();
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
      previous.discards = discards;
      this.#give(previous, sa);
      return;
    }
    this.#policies.set(policy.id, {
      number: NO_POLICY,
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
    for (const policy of this.#policies.values()) if (policy.sa === sa) this.#give(policy, null);
  }

  #give(policy: CompiledPolicy<Sa>, sa: Sa | null): void {
    policy.sa = sa;
    if (sa !== null) policy.refusingSince = null;
    // Without a number until the next lookup, which asks for all of them.
    if (policy.number !== NO_POLICY) this.#sas[policy.number] = sa;
  }

  /** Of the policy that `lookup` has named. */
  policyOf(number: number): CompiledPolicy<Sa> | undefined {
    return this.#numbered[number];
  }

  /** Its SA; the policy itself, which of thousands is in no cache, need not be looked at. */
  saOf(number: number): Sa | null {
    return this.#sas[number] ?? null;
  }

  /** For read-ahead.ts: reads where a packet at `at` has its policy, most likely. */
  place(bytes: Uint8Array, at: number): number {
    const longest = this.#prefixesV4[0];
    return longest === undefined ? 0 : longest.rows.place(maskedWord(readU32(bytes, at + IPV4_DESTINATION), longest.length));
  }

  /** The SA of that policy; null: not known without a lookup. */
  peek(bytes: Uint8Array, at: number): Sa | null {
    const longest = this.#prefixesV4[0];
    if (this.#isStale || longest === undefined || bytes[at]! >> 4 !== 4) return null;
    const row = longest.rows.first(maskedWord(readU32(bytes, at + IPV4_DESTINATION), longest.length));
    return row === NO_ROW ? null : this.saOf(longest.rows.policyOf(row));
  }

  /** The policy's number, good until the next change of the table; `NO_POLICY`: there is none for such a packet. */
  lookup(bytes: Uint8Array, view: IpPacketView): number {
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

  #search(bytes: Uint8Array, view: IpPacketView): number {
    const found = view.family === 4 ? this.#searchV4(bytes, view) : this.#searchV6(bytes, view);
    return found === NO_POLICY ? this.#first(this.#others, bytes, view) : found;
  }

  #searchV4(bytes: Uint8Array, view: IpPacketView): number {
    const source = readU32(bytes, view.sourceOffset);
    const destination = readU32(bytes, view.destinationOffset);
    for (const { length, rows } of this.#prefixesV4)
      for (let row = rows.first(maskedWord(destination, length)); row !== NO_ROW; row = rows.next(row)) {
        if (rows.holds(row, source, destination)) return rows.policyOf(row);
        if (rows.isDecided(row)) continue;
        const policy = this.#numbered[rows.policyOf(row)]!;
        if (matchesPacket(policy.local, policy.remote, bytes, view, "outbound")) return policy.number;
      }
    return NO_POLICY;
  }

  #searchV6(bytes: Uint8Array, view: IpPacketView): number {
    for (const { length, byNetwork } of this.#prefixesV6) {
      const candidates = byNetwork.get(hashedNetwork(bytes, view.destinationOffset, length));
      const found = candidates === undefined ? NO_POLICY : this.#first(candidates, bytes, view);
      if (found !== NO_POLICY) return found;
    }
    return NO_POLICY;
  }

  #first(candidates: readonly CompiledPolicy<Sa>[], bytes: Uint8Array, view: IpPacketView): number {
    for (const policy of candidates) if (matchesPacket(policy.local, policy.remote, bytes, view, "outbound")) return policy.number;
    return NO_POLICY;
  }

  /** Compiled at the next lookup: thousands of policies installed in a row are compiled once. */
  #changed(): void {
    this.#isStale = true;
    for (const cache of [this.#cachedV4, this.#cachedV6]) {
      cache.isFilled = false;
    }
  }

  #compile(): void {
    this.#isStale = false;
    this.#numbered = [...this.#policies.values()];
    this.#sas = this.#numbered.map(({ sa }) => sa);
    this.#others = [];
    this.#addressesDecide = true;
    const rows = new Map<number, NetworkRow[]>();
    const byLength = new Map<number, ByNetwork<Sa>>();
    for (const [number, policy] of this.#numbered.entries()) {
      policy.number = number;
      if (![...policy.local, ...policy.remote].every(isOfAddresses)) this.#addressesDecide = false;
      let isOther = false;
      for (const selector of policy.remote) {
        const length = prefixLength(selector);
        if (length === null) isOther = true;
        else if (selector.family === 4) listOf(rows, length).push(...rowsOf(policy.local, selector, length, number));
        else addTo(byLength, length, hashedNetwork(selector.startAddress, 0, length), policy);
      }
      if (isOther) this.#others.push(policy);
    }
    this.#prefixesV4 = longestFirst(rows).map(([length, list]) => ({ length, rows: new NetworkRows(list) }));
    this.#prefixesV6 = longestFirst(byLength).map(([length, byNetwork]) => ({ length, byNetwork }));
  }
}

interface PrefixV4 {
  readonly length: number;
  readonly rows: NetworkRows;
}

interface PrefixV6<Sa> {
  readonly length: number;
  readonly byNetwork: ByNetwork<Sa>;
}

type ByNetwork<Sa> = Map<number, CompiledPolicy<Sa>[]>;

/** A row for each local selector where addresses decide of this one and of all those; else one that says to look at the policy. */
function rowsOf(local: readonly CompiledSelector[], remote: CompiledSelector, length: number, policy: number): NetworkRow[] {
  const network = maskedWord(remote.startWord, length);
  if (!isOfAddresses(remote) || !local.every(isOfAddresses)) return [{ network, policy, selectors: null }];
  return local.filter(({ family }) => family === 4).map((one) => ({ network, policy, selectors: { local: one, remote } }));
}

function addTo<Sa>(byLength: Map<number, ByNetwork<Sa>>, length: number, key: number, policy: CompiledPolicy<Sa>): void {
  const byNetwork = byLength.get(length) ?? new Map<number, CompiledPolicy<Sa>[]>();
  byLength.set(length, byNetwork);
  const list = byNetwork.get(key);
  // A list that grew from nothing would have room for 17.
  if (list === undefined) byNetwork.set(key, [policy]);
  else if (!list.includes(policy)) list.push(policy);
}

function listOf<Value>(lists: Map<number, Value[]>, key: number): Value[] {
  const list = lists.get(key) ?? [];
  lists.set(key, list);
  return list;
}

function longestFirst<Value>(byLength: ReadonlyMap<number, Value>): [number, Value][] {
  return [...byLength].sort(([a], [b]) => b - a);
}

interface LookupCache {
  isFilled: boolean;
  readonly addresses: Uint8Array;
  policy: number;
}

function makeCache(): LookupCache {
  return { isFilled: false, addresses: new Uint8Array(32), policy: NO_POLICY };
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

/** The first `length` bits, as a signed number: V8 keeps those in a word. */
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
