import { PolicyIndices } from "./ownership.ts";
import { type KernelPolicy, PolicyDirection, type PolicyReport, type PolicyTemplate } from "./policy-messages.ts";
import { EEXIST, KernelRefusal } from "./netlink-dialog.ts";
import type { XfrmKernel } from "./xfrm-kernel.ts";
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
  readonly #kernel: XfrmKernel;
  readonly #indices = new PolicyIndices();
  readonly #placed = new Map<string, PlacedPolicy & { readonly index: number }>();
  readonly #byIndex = new Map<number, string>();
  /** Of a run that was killed: they still keep its packets from leaving in clear. */
  readonly #leftovers = new Map<string, PolicyReport>();

  constructor(kernel: XfrmKernel, leftovers: readonly PolicyReport[]) {
    this.#kernel = kernel;
    for (const report of leftovers) this.#leftovers.set(keyOf(report), report);
  }

  /** Adds it or puts it in place of ours for the same packets. @throws Error with a sentence when another program has one for them. */
  put(policy: PlacedPolicy): void {
    const key = keyOf(policy);
    const previous = this.#placed.get(key);
    const leftover = this.#leftovers.get(key);
    const index = previous?.index ?? leftover?.index ?? this.#freeIndex(policy.direction);
    if (previous !== undefined || leftover !== undefined) this.#kernel.replacePolicy({ ...policy, index });
    else this.#add({ ...policy, index });
    this.#leftovers.delete(key);
    this.#placed.set(key, { ...policy, index });
    this.#byIndex.set(index, key);
  }

  remove(policy: Pick<PlacedPolicy, "direction" | "selector">): void {
    const key = keyOf(policy);
    const placed = this.#placed.get(key);
    if (placed === undefined) return;
    this.#kernel.deletePolicy(policy);
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
      const present = new Set(this.#kernel.dumpPolicies().map(keyOf));
      return [...this.#placed].filter(([key, policy]) => !present.has(key) && this.#putBack(policy)).length;
    }
    const placed = this.#placed.get(this.#byIndex.get(index) ?? "");
    return placed !== undefined && this.#putBack(placed) ? 1 : 0;
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

  /** Not in the place of another program's. */
  #putBack(policy: KernelPolicy): boolean {
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

  #add(policy: KernelPolicy): void {
    try {
      this.#kernel.addPolicy(policy);
    } catch (error) {
      if (!(error instanceof KernelRefusal && error.errno === EEXIST)) throw error;
      const { source, sourcePrefix, destination, destinationPrefix } = policy.selector;
      throw new Error(`another program has a policy (${policy.direction}) for packets from ${source}/${sourcePrefix} to ${destination}/${destinationPrefix}`);
    }
  }
}

function keyOf({ direction, selector }: Pick<PlacedPolicy, "direction" | "selector">): string {
  return `${direction} ${selectorKey(selector)}`;
}
