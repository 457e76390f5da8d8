import type { OutboundPolicy } from "../../ipsec/security-association.ts";
import { ifIdOf, type Reqids } from "./ownership.ts";
import { localExceptions, outboundSelectors, priorityOf } from "./kernel-selectors.ts";
import type { PolicyTemplate } from "./policy-messages.ts";
import type { PlacedPolicy, PolicyStore } from "./policy-store.ts";
import { type KernelSelector, reverseSelector, selectorKey } from "./xfrm-structures.ts";

interface Claim {
  readonly policy: OutboundPolicy;
  readonly selectors: readonly KernelSelector[];
  readonly exceptions: readonly KernelSelector[];
  template: PolicyTemplate;
}

const everywhere = { source: "::", sourcePrefix: 0, destination: "::", destinationPrefix: 0 } as const;
/** Neighbour solicitation and advertisement: a tunnel of everything must not take them from the link (RFC 4861 §4.3, §4.4). */
const neighbourDiscovery = [135, 136].map(
  (type): KernelSelector => ({ ...everywhere, family: 6, protocol: 58, sourcePort: type, sourcePortMask: 0xffff, destinationPort: 0, destinationPortMask: 0 }),
);
const FIRST_PRIORITY = 0x8000;

/**
 * What goes out. A policy of ours is one of the kernel's for each pair of its selectors; two of ours with the same pair share that, and the one that was
 * installed first decides, as in the other planes. One that discards asks for an SA that there never is: the kernel drops the packet and says so.
 */
export class OutboundPolicies {
  readonly #store: PolicyStore;
  readonly #reqids: Reqids;
  readonly #claims = new Map<string, Claim>();
  /** By selector: the ids of the policies that have it, first installed first. */
  readonly #byKey = new Map<string, string[]>();
  readonly #exceptions = new Map<string, Set<string>>();
  #coversIpv6 = false;

  constructor(store: PolicyStore, reqids: Reqids) {
    this.#store = store;
    this.#reqids = reqids;
  }

  /** `template`: of the SA that protects; null: discard. @throws Error with a sentence. */
  install(policy: OutboundPolicy, template: PolicyTemplate | null): void {
    const ifId = ifIdOf(policy.interfaceNumber);
    const selectors = outboundSelectors(policy.localSelectors, policy.remoteSelectors, ifId);
    // What goes through an interface was led there by a route: there is nothing to be excepted.
    const exceptions = ifId === 0 ? localExceptions(policy.localSelectors, policy.remoteSelectors) : [];
    const previous = this.#claims.get(policy.id);
    const claim: Claim = { policy, selectors, exceptions, template: template ?? nowhere(this.#reqids.next()) };
    this.#claims.set(policy.id, claim);
    if (ifId === 0 && selectors.some(({ family }) => family === 6)) this.#exceptNeighbourDiscovery();
    for (const selector of exceptions) this.#except(selector, policy.id);
    for (const selector of selectors) {
      const key = selectorKey(selector);
      const ids = this.#byKey.get(key) ?? [];
      if (!ids.includes(policy.id)) ids.push(policy.id);
      this.#byKey.set(key, ids);
      this.#settle(key, selector);
    }
    if (previous !== undefined) this.#release(policy.id, previous, claim);
  }

  delete(id: string): void {
    const claim = this.#claims.get(id);
    if (claim === undefined) return;
    this.#claims.delete(id);
    this.#release(id, claim, null);
  }

  /** The policy that a packet met; null when it does not discard. */
  discarding(placed: PlacedPolicy): string | null {
    const id = placed.direction === "out" ? this.#byKey.get(selectorKey(placed.selector))?.[0] : undefined;
    return id !== undefined && this.#claims.get(id)?.policy.action.kind === "discard" ? id : null;
  }

  /** The kernel tells of the first packet only, until the SA that it waits for is given up: it waits for another one from now on. */
  askAgain(id: string): void {
    const claim = this.#claims.get(id);
    if (claim === undefined || claim.policy.action.kind !== "discard") return;
    claim.template = nowhere(this.#reqids.next());
    for (const selector of claim.selectors) this.#settle(selectorKey(selector), selector);
  }

  askAllAgain(): void {
    for (const id of this.#claims.keys()) this.askAgain(id);
  }

  /** The SA that these policies name is reached elsewhere now. */
  retarget(spi: number, template: PolicyTemplate): void {
    for (const claim of this.#claims.values()) {
      if (claim.policy.action.kind !== "protect" || claim.policy.action.spi !== spi) continue;
      claim.template = template;
      for (const selector of claim.selectors) this.#settle(selectorKey(selector), selector);
    }
  }

  clear(): void {
    this.#claims.clear();
    this.#byKey.clear();
    this.#exceptions.clear();
    this.#coversIpv6 = false;
  }

  #settle(key: string, selector: KernelSelector): void {
    const first = this.#byKey.get(key)?.[0];
    const claim = first === undefined ? undefined : this.#claims.get(first);
    if (claim === undefined) this.#store.remove({ direction: "out", selector });
    else this.#store.put({ direction: "out", selector, priority: priorityOf(selector, false), template: claim.template });
  }

  /** Gives up what `claim` had and `kept` has not. */
  #release(id: string, claim: Claim, kept: Claim | null): void {
    const keptKeys = new Set([...(kept?.selectors ?? []), ...(kept?.exceptions ?? [])].map(selectorKey));
    for (const selector of claim.selectors) {
      const key = selectorKey(selector);
      if (keptKeys.has(key)) continue;
      const ids = (this.#byKey.get(key) ?? []).filter((other) => other !== id);
      if (ids.length === 0) this.#byKey.delete(key);
      else this.#byKey.set(key, ids);
      this.#settle(key, selector);
    }
    for (const selector of claim.exceptions) {
      const key = selectorKey(selector);
      const users = this.#exceptions.get(key);
      if (keptKeys.has(key) || users === undefined || !users.delete(id) || users.size > 0) continue;
      this.#exceptions.delete(key);
      for (const direction of ["in", "out", "fwd"] as const) this.#store.remove({ direction, selector });
    }
  }

  #except(selector: KernelSelector, id: string): void {
    const key = selectorKey(selector);
    const users = this.#exceptions.get(key) ?? new Set();
    users.add(id);
    if (this.#exceptions.has(key)) return;
    this.#exceptions.set(key, users);
    for (const direction of ["in", "out", "fwd"] as const) this.#store.put({ direction, selector, priority: priorityOf(selector, true), template: null });
  }

  #exceptNeighbourDiscovery(): void {
    if (this.#coversIpv6) return;
    this.#coversIpv6 = true;
    for (const selector of neighbourDiscovery) {
      this.#store.put({ direction: "out", selector, priority: FIRST_PRIORITY, template: null });
      this.#store.put({ direction: "in", selector: reverseOfType(selector), priority: FIRST_PRIORITY, template: null });
    }
  }
}

/** An ICMP type stands in the source's port whichever way the packet goes. */
function reverseOfType(selector: KernelSelector): KernelSelector {
  const { sourcePort, sourcePortMask } = selector;
  return { ...reverseSelector(selector), sourcePort, sourcePortMask, destinationPort: 0, destinationPortMask: 0 };
}

/** Of an SA that is never made. The addresses must be some, or the kernel looks for a route first. */
function nowhere(reqid: number): PolicyTemplate {
  return { family: 4, source: "127.0.0.1", destination: "127.0.0.1", spi: 0, reqid, protocol: "esp", mode: "tunnel" };
}
