import { PolicyIndices } from "./ownership.ts";
import { type KernelPolicy, PolicyDirection, type PolicyReport, type PolicyTemplate } from "./policy-messages.ts";
import { EEXIST, KernelRefusal } from "./netlink-dialog.ts";
import type { XfrmDatabases } from "./xfrm-kernel.ts";
import { type KernelSelector, selectorKey } from "./xfrm-structures.ts";

/** One of ours in the kernel. */
export interface PlacedPolicy {
  readonly direction: KernelPolicy["direction"];
  readonly selector: KernelSelector;
  readonly priority: number;
  /** Null: packets pass as they are. */
  readonly template: PolicyTemplate | null;
}

/** Which of the kernel's policies are ours: one for each selector and direction. Those of others are seen by their refusing us a place. */
export class PolicyStore {
  readonly #kernel: XfrmDatabases;
  readonly #indices = new PolicyIndices();
  readonly #placed = new Map<string, PlacedPolicy & { readonly index: number }>();
  readonly #byIndex = new Map<number, string>();
  /** Of a run that was killed: they still keep its packets from leaving in clear. */
  readonly #leftovers = new Map<string, PolicyReport>();
  /** Told by `takeLost`. */
  readonly #lost = new Set<string>();

  constructor(kernel: XfrmDatabases, leftovers: readonly PolicyReport[]) {
    this.#kernel = kernel;
    for (const report of leftovers) this.#leftovers.set(keyOf(report), report);
  }

  /**
   * Adds it or puts it in place of ours for the same packets. Where another program has taken ours away and put its own, ours stays away, and `takeLost` says so.
   * @throws Error with a sentence when another program has one where we never had.
   */
  put(policy: PlacedPolicy): void {
    const key = keyOf(policy);
    const before = this.#placed.get(key) ?? this.#leftovers.get(key);
    const wanted = { ...policy, index: before?.index ?? this.#freeIndex(policy.direction) };
    if (before === undefined ? !this.#add(wanted) : !this.#replace(wanted)) {
      if (!this.#placed.has(key)) throw new Error(sentenceOf(policy));
      this.#lost.add(sentenceOf(policy));
    }
    this.#leftovers.delete(key);
    this.#placed.set(key, wanted);
    this.#byIndex.set(wanted.index, key);
  }

  /** A sentence for each place in which `put` has found another program's policy instead of ours; those that were not asked for before. */
  takeLost(): string[] {
    const sentences = [...this.#lost];
    this.#lost.clear();
    return sentences;
  }

  remove(policy: Pick<PlacedPolicy, "direction" | "selector">): void {
    const key = keyOf(policy);
    const placed = this.#placed.get(key);
    if (placed === undefined) return;
    this.#kernel.deletePolicy(placed);
    this.#placed.delete(key);
    this.#byIndex.delete(placed.index);
  }

  /**
   * Puts those back that somebody else has deleted: what they protect must not leave in clear. Those that we delete ourselves are not here any more.
   * @param index of one that was deleted; null: each may have been.
   * @returns how many were put back.
   */
  restore(index: number | null): number {
    if (index === null) {
      const present = new Set(this.#kernel.dumpPolicies().map((policy) => policy.index));
      return [...this.#placed.values()].filter((policy) => !present.has(policy.index) && this.#add(policy)).length;
    }
    const placed = this.#placed.get(this.#byIndex.get(index) ?? "");
    return placed !== undefined && this.#add(placed) ? 1 : 0;
  }

  find(index: number): PlacedPolicy | null {
    const key = this.#byIndex.get(index);
    return key === undefined ? null : (this.#placed.get(key) ?? null);
  }

  removeLeftovers(): void {
    for (const report of this.#leftovers.values()) this.#kernel.deletePolicy(report);
    this.#leftovers.clear();
  }

  clear(): void {
    for (const policy of [...this.#placed.values()]) this.remove(policy);
  }

  /** In place of ours. Where that is no more, what is for the same packets is another program's. False: there is one. */
  #replace(policy: KernelPolicy): boolean {
    if (!this.#kernel.hasPolicy(policy)) return this.#add(policy);
    this.#kernel.replacePolicy(policy);
    return true;
  }

  /** False: another program has one in the place. */
  #add(policy: KernelPolicy): boolean {
    try {
      this.#kernel.addPolicy(policy);
      return true;
    } catch (error) {
      if (error instanceof KernelRefusal && error.errno === EEXIST) return false;
      throw error;
    }
  }

  #freeIndex(direction: KernelPolicy["direction"]): number {
    const taken = new Set([...this.#leftovers.values()].map(({ index }) => index));
    let index = this.#indices.next(PolicyDirection[direction]);
    while (taken.has(index) || this.#byIndex.has(index)) index = this.#indices.next(PolicyDirection[direction]);
    return index;
  }
}

function keyOf({ direction, selector }: Pick<PlacedPolicy, "direction" | "selector">): string {
  return `${direction} ${selectorKey(selector)}`;
}

function sentenceOf({ direction, selector }: Pick<PlacedPolicy, "direction" | "selector">): string {
  const { source, sourcePrefix, destination, destinationPrefix } = selector;
  return `another program has a policy (${direction}) for packets from ${source}/${sourcePrefix} to ${destination}/${destinationPrefix}`;
}
