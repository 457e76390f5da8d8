import type { Reqids } from "./ownership.ts";
import { priorityOf, refusalPriorityOf } from "./kernel-selectors.ts";
import { nowhere, type PolicyTemplate } from "./policy-messages.ts";
import type { PolicyStore } from "./policy-store.ts";
import { type KernelSelector, reverseSelector, selectorKey } from "./xfrm-structures.ts";

interface Place {
  readonly selector: KernelSelector;
  /** By the SPI of the SA that may deliver such packets, in the order of their coming. */
  readonly users: Map<number, PolicyTemplate>;
  /** By id: the outbound policies that claim such packets for their link. */
  readonly claimants: Set<string>;
  placed: PolicyTemplate | null;
}

/**
 * What may come in, to this machine and through it (RFC 4301 §5.2 step 4): packets of a selector only through an SA of the child that has it. The SAs of
 * a child share a reqid, by which the kernel tells them; an SA belongs to the child that one of its selectors is of already. While what a link claims
 * has no SA, nothing of it may come in.
 */
export class InboundPolicies {
  readonly #store: PolicyStore;
  readonly #reqids: Reqids;
  readonly #places = new Map<string, Place>();
  readonly #claimed = new Map<string, readonly KernelSelector[]>();
  readonly #refusal: PolicyTemplate;

  constructor(store: PolicyStore, reqids: Reqids) {
    this.#store = store;
    this.#reqids = reqids;
    this.#refusal = nowhere(reqids.next());
  }

  /** The reqid for an SA that packets between these selectors (as they go out) may come through. */
  reqidFor(outbound: readonly KernelSelector[]): number {
    for (const selector of outbound) {
      const users = this.#places.get(selectorKey(reverseSelector(selector)))?.users;
      const last = users === undefined ? undefined : [...users.values()].at(-1);
      if (last !== undefined) return last.reqid;
    }
    return this.#reqids.next();
  }

  /** @throws Error with a sentence when another program has a policy for such packets; then nothing is held. */
  add(spi: number, outbound: readonly KernelSelector[], template: PolicyTemplate): void {
    try {
      for (const selector of outbound.map(reverseSelector)) {
        const place = this.#placeOf(selector);
        place.users.set(spi, template);
        this.#settle(place);
      }
    } catch (error) {
      this.remove(spi, outbound);
      throw error;
    }
  }

  remove(spi: number, outbound: readonly KernelSelector[]): void {
    for (const selector of outbound.map(reverseSelector)) {
      const place = this.#places.get(selectorKey(selector));
      if (place?.users.delete(spi) === true) this.#settle(place);
    }
  }

  /** Packets between these selectors (as they go out) are the link's of this policy: they come in through its SAs or not at all. @throws Error with a sentence. */
  claim(id: string, outbound: readonly KernelSelector[]): void {
    const selectors = outbound.map(reverseSelector);
    const previous = this.#claimed.get(id) ?? [];
    if (selectors.length === 0) this.#claimed.delete(id);
    else this.#claimed.set(id, selectors);
    const kept = new Set(selectors.map(selectorKey));
    for (const selector of selectors) {
      const place = this.#placeOf(selector);
      place.claimants.add(id);
      this.#settle(place);
    }
    for (const key of previous.map(selectorKey)) {
      const place = this.#places.get(key);
      if (!kept.has(key) && place?.claimants.delete(id) === true) this.#settle(place);
    }
  }

  unclaim(id: string): void {
    this.claim(id, []);
  }

  clear(): void {
    this.#places.clear();
    this.#claimed.clear();
  }

  #placeOf(selector: KernelSelector): Place {
    const key = selectorKey(selector);
    const place = this.#places.get(key) ?? { selector, users: new Map(), claimants: new Set(), placed: null };
    this.#places.set(key, place);
    return place;
  }

  #settle(place: Place): void {
    const wanted = [...place.users.values()].at(-1) ?? (place.claimants.size === 0 ? null : this.#refusal);
    if (wanted === null) {
      this.#places.delete(selectorKey(place.selector));
      for (const direction of ["in", "fwd"] as const) this.#store.remove({ direction, selector: place.selector });
    } else if (place.placed === null || !isSame(place.placed, wanted)) {
      const outbound = reverseSelector(place.selector);
      const priority = wanted === this.#refusal ? refusalPriorityOf(outbound) : priorityOf(outbound, false);
      for (const direction of ["in", "fwd"] as const) this.#store.put({ direction, selector: place.selector, priority, template: wanted });
    }
    place.placed = wanted;
  }
}

function isSame(a: PolicyTemplate, b: PolicyTemplate): boolean {
  return a.reqid === b.reqid && a.family === b.family && a.protocol === b.protocol && a.mode === b.mode;
}
