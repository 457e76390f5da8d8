import type { OutboundPolicy } from "../../ipsec/security-association.ts";
import { ifIdOf, type Reqids } from "./ownership.ts";
import { localExceptions, outboundSelectors, priorityOf, refusalPriorityOf } from "./kernel-selectors.ts";
import { nowhere, type PolicyTemplate } from "./policy-messages.ts";
import type { PlacedPolicy, PolicyStore } from "./policy-store.ts";
import { type KernelSelector, reverseSelector, selectorKey } from "./xfrm-structures.ts";

interface Claim {
  readonly policy: OutboundPolicy;
  readonly selectors: readonly KernelSelector[];
  /** What the link is for: what its SA does not carry of that goes nowhere. */
  readonly refused: readonly KernelSelector[];
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
 * installed first decides, as in the other planes. One that discards asks for an SA that there never is: the kernel drops the packet and says so. So does
 * the kernel's for what the link is for and its SA does not carry: without it the route would take such packets out in clear.
 */
export class OutboundPolicies {
  readonly #store: PolicyStore;
  readonly #reqids: Reqids;
  readonly #claims = new Map<string, Claim>();
  /** Whose SA or discard a selector has; and who refuses it. */
  readonly #byKey = new Holders();
  readonly #refusing = new Holders();
  readonly #refusal: PolicyTemplate;
  readonly #exceptions = new Map<string, Set<string>>();
  #coversIpv6 = false;

  constructor(store: PolicyStore, reqids: Reqids) {
    this.#store = store;
    this.#reqids = reqids;
    this.#refusal = nowhere(reqids.next());
  }

  /** `template`: of the SA that protects; null: discard. @throws Error with a sentence. */
  install(policy: OutboundPolicy, template: PolicyTemplate | null): void {
    const ifId = ifIdOf(policy.interfaceNumber);
    const selectors = outboundSelectors(policy.localSelectors, policy.remoteSelectors, ifId);
    const refused = claimedSelectors(policy);
    const claim: Claim = {
      policy,
      selectors,
      refused,
      exceptions: exceptionsOf(policy),
      template: template ?? nowhere(this.#reqids.next()),
    };
    const previous = this.#claims.get(policy.id) ?? null;
    this.#claims.set(policy.id, claim);
    if (ifId === 0 && [...selectors, ...refused].some(({ family }) => family === 6)) this.#exceptNeighbourDiscovery();
    for (const selector of claim.exceptions) this.#except(selector, policy.id);
    this.#replace(policy.id, previous, claim);
  }

  delete(id: string): void {
    const claim = this.#claims.get(id);
    if (claim === undefined) return;
    this.#claims.delete(id);
    this.#replace(id, claim, null);
  }

  /** The policy that a packet met; null when it does not discard. */
  discarding(placed: PlacedPolicy): string | null {
    const id = placed.direction === "out" ? this.#byKey.first(selectorKey(placed.selector)) : null;
    return id !== null && this.#claims.get(id)?.policy.action.kind === "discard" ? id : null;
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
    this.#refusing.clear();
    this.#exceptions.clear();
    this.#coversIpv6 = false;
  }

  /** Gives `next` its places in the order of installation, and takes from `previous` what it alone had: no place is free on the way from one to the other. */
  #replace(id: string, previous: Claim | null, next: Claim | null): void {
    this.#byKey.replace(id, previous?.selectors ?? [], next?.selectors ?? []);
    this.#refusing.replace(id, previous?.refused ?? [], next?.refused ?? []);
    const touched = [next, previous].flatMap((claim) => (claim === null ? [] : [...claim.selectors, ...claim.refused]));
    for (const [key, selector] of new Map(touched.map((one) => [selectorKey(one), one]))) this.#settle(key, selector);
    const kept = new Set((next?.exceptions ?? []).map(selectorKey));
    for (const selector of previous?.exceptions ?? []) if (!kept.has(selectorKey(selector))) this.#giveUpException(selector, id);
  }

  #settle(key: string, selector: KernelSelector): void {
    const first = this.#byKey.first(key);
    const protecting = first === null ? undefined : this.#claims.get(first)?.template;
    if (protecting !== undefined) this.#store.put({ direction: "out", selector, priority: priorityOf(selector, false), template: protecting });
    else if (this.#refusing.first(key) === null) this.#store.remove({ direction: "out", selector });
    else this.#store.put({ direction: "out", selector, priority: refusalPriorityOf(selector), template: this.#refusal });
  }

  #giveUpException(selector: KernelSelector, id: string): void {
    const key = selectorKey(selector);
    const users = this.#exceptions.get(key);
    if (users === undefined || !users.delete(id) || users.size > 0) return;
    this.#exceptions.delete(key);
    for (const direction of ["in", "out", "fwd"] as const) this.#store.remove({ direction, selector });
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

/** By selector the ids of the policies that hold it, first installed first. */
class Holders {
  readonly #ids = new Map<string, string[]>();

  first(key: string): string | null {
    return this.#ids.get(key)?.[0] ?? null;
  }

  /** What `id` holds from here on, and held: of what is in both it keeps its place. */
  replace(id: string, previous: readonly KernelSelector[], next: readonly KernelSelector[]): void {
    const wanted = new Set(next.map(selectorKey));
    for (const key of wanted) {
      const ids = this.#ids.get(key) ?? [];
      if (!ids.includes(id)) this.#ids.set(key, [...ids, id]);
    }
    for (const key of previous.map(selectorKey)) {
      if (wanted.has(key)) continue;
      const others = (this.#ids.get(key) ?? []).filter((other) => other !== id);
      if (others.length === 0) this.#ids.delete(key);
      else this.#ids.set(key, others);
    }
  }

  clear(): void {
    this.#ids.clear();
  }
}

/** What the link is for. Nothing more where an interface is: there a packet without a policy is dropped. */
export function claimedSelectors({ localSelectors, remoteSelectors, claims, interfaceNumber }: OutboundPolicy): KernelSelector[] {
  if (interfaceNumber !== undefined) return [];
  const { localSelectors: local, remoteSelectors: remote } = claims ?? { localSelectors, remoteSelectors };
  return outboundSelectors(local, remote);
}

/** What goes through an interface was led there by a route: there is nothing to be excepted. */
function exceptionsOf(policy: OutboundPolicy): KernelSelector[] {
  if (policy.interfaceNumber !== undefined) return [];
  const pairs = [policy, ...(policy.claims === undefined ? [] : [policy.claims])];
  return pairs.flatMap(({ localSelectors, remoteSelectors }) => localExceptions(localSelectors, remoteSelectors));
}
