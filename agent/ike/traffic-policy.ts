import { equalLists } from "../ipsec/traffic-selector.ts";
import type { ChildSa } from "./child-sa.ts";
import type { ChildConfig, LinkConfig } from "./endpoint-types.ts";
import type { EstablishedPhase, Link, LinkPolicy } from "./ike-sa.ts";
import { findChild, type Turn } from "./turn.ts";

/*
 * Which outbound SA a child's traffic goes on. One SA may be used by every worker of the data plane; beside it each worker may have one of its
 * own (RFC 9611). Which worker has which is this end's matter alone: the two ends need only agree on what SAs there are.
 */

/** Points the child's policy at this outbound SA: in the place of what it was made to replace, else where there is one. */
export function sendOver(turn: Turn, link: Link, child: ChildSa): void {
  const policy = link.policies.get(child.name);
  if (policy === undefined || child.outbound === null || placeOf(policy, child.id) !== null) return;
  const place = placeFor(turn, link, policy, child);
  if (place !== null) occupy(turn, link, child.name, held(holdersOf(policy), place, child.id));
}

/** In the place for all, whatever is there: that one is not known to be at the peer, and gets a place again once it is. */
export function sendAllOver(turn: Turn, link: Link, child: ChildSa): void {
  const policy = link.policies.get(child.name);
  if (policy === undefined || child.outbound === null) return;
  const holders = holdersOf(policy).map((id) => (id === child.id ? null : id));
  occupy(turn, link, child.name, held(holders, 0, child.id));
}

/** What held the places of `gone`, which sends no more: its successor, or in the place for all any other one. */
export function vacate(turn: Turn, link: Link, gone: ChildSa, replacement: ChildSa | null): void {
  const policy = link.policies.get(gone.name);
  const place = policy === undefined ? null : placeOf(policy, gone.id);
  if (policy === undefined || place === null) return;
  if (place === 0 && replacement === null) return discardTraffic(turn, link, policy.child);
  // The one for all stays that: without it the others would have nothing to go on with.
  const takesOver = replacement !== null && (place === 0 || (replacement.id !== policy.childSaId && leadsTo(turn, gone.id, replacement)));
  const takes = takesOver ? replacement.id : null;
  const holders = holdersOf(policy).map((id) => (id === takes ? null : id));
  occupy(turn, link, gone.name, held(holders, place, takes));
}

/** A policy that drops what it matches: nothing leaves in clear while there is no SA. */
export function discardTraffic(turn: Turn, link: Link, child: ChildConfig): void {
  link.policies.set(child.name, { child, childSaId: null });
  const { localSelectors, remoteSelectors } = child;
  turn.effects.push({
    kind: "installPolicy",
    policy: { id: policyId(link, child.name), localSelectors, remoteSelectors, ...throughInterface(link.config), action: { kind: "discard" } },
  });
}

export function deleteTrafficPolicy(turn: Turn, link: Link, childName: string): void {
  if (link.policies.delete(childName)) turn.effects.push({ kind: "deletePolicy", id: policyId(link, childName) });
}

/** 0: every worker may send on it; n: the n-th worker does; null: none. */
export function placeOf(policy: LinkPolicy | undefined, childSaId: string): number | null {
  const place = policy === undefined ? -1 : holdersOf(policy).indexOf(childSaId);
  return place < 0 ? null : place;
}

/** The first worker without an SA of its own, counted from 1; null: each has one. */
export function firstWithoutOwn(link: Link, childName: string): number | null {
  const { bound = [] } = link.policies.get(childName) ?? {};
  for (let worker = 1; worker <= perResourceSas(link); worker++) if ((bound[worker - 1] ?? null) === null) return worker;
  return null;
}

/** How many Child SAs of the same selectors this end has room for beside the one that every worker may use. */
export function perResourceSas({ config }: Pick<Link, "config">): number {
  return config.perResourceSas ?? 0;
}

/** The Child SAs of this name that may have others beside them, oldest first. */
export function sharedChildren(phase: EstablishedPhase, childName: string): ChildSa[] {
  return [...phase.children.values()].filter((child) => child.name === childName && child.isShared && child.state.kind === "established");
}

export function isAlike(a: ChildSa, b: ChildSa): boolean {
  return equalLists(a.inbound.localSelectors, b.inbound.localSelectors) && equalLists(a.inbound.remoteSelectors, b.inbound.remoteSelectors);
}

/** What the link's SAs and policies have in common with its configuration. */
export function throughInterface({ interfaceNumber }: LinkConfig): Pick<LinkConfig, "interfaceNumber"> {
  return interfaceNumber === undefined ? {} : { interfaceNumber };
}

export function policyId(link: Link, childName: string): string {
  return `${link.config.id}/${childName}`;
}

/** Whose policy it is: names of children have no slash. */
export function linkIdOf(policyId: string): string {
  return policyId.slice(0, policyId.lastIndexOf("/"));
}

export function childNameOf(policyId: string): string {
  return policyId.slice(policyId.lastIndexOf("/") + 1);
}

type Holders = readonly (string | null)[];

function holdersOf({ childSaId, bound = [] }: LinkPolicy): Holders {
  return [childSaId, ...bound];
}

function held(holders: Holders, place: number, childSaId: string | null): Holders {
  return Array.from({ length: Math.max(holders.length, place + 1) }, (_, index) => (index === place ? childSaId : (holders[index] ?? null)));
}

/** Of an older IKE SA nothing is kept where the newer one has the same. */
function placeFor(turn: Turn, link: Link, policy: LinkPolicy, child: ChildSa): number | null {
  if (!child.isShared) return 0;
  const holders = holdersOf(policy);
  const predecessor = holders.findIndex((id) => id !== null && (id === child.replaces || leadsTo(turn, id, child)));
  if (predecessor >= 0) return predecessor;
  const owner = turn.engine.children.ownerOf(child.id);
  for (let place = 0; place <= perResourceSas(link); place++) {
    const holder = holders[place] ?? null;
    if (holder === null || turn.engine.children.ownerOf(holder) !== owner) return place;
  }
  return null;
}

/** Whether `target` is what the one of this id was rekeyed into, in however many steps. */
function leadsTo(turn: Turn, childSaId: string, target: ChildSa): boolean {
  const seen = new Set<string>();
  for (let id = childSaId; !seen.has(id); ) {
    seen.add(id);
    const state = findChild(turn, id)?.child.state;
    if (state?.kind !== "rekeyed") return false;
    if (state.successorId === target.id) return true;
    id = state.successorId;
  }
  return false;
}

function occupy(turn: Turn, link: Link, childName: string, holders: Holders): void {
  const before = link.policies.get(childName);
  const forAll = holders[0] === null || holders[0] === undefined ? null : (findChild(turn, holders[0])?.child ?? null);
  if (before === undefined || forAll === null) return;
  const bound = holders.slice(1, 1 + holders.slice(1).findLastIndex((id) => id !== null) + 1);
  link.policies.set(childName, { child: before.child, childSaId: forAll.id, ...(bound.length === 0 ? {} : { bound }) });
  const spis = bound.map((id) => {
    const own = id === null ? undefined : findChild(turn, id)?.child;
    // The policy's selectors are those of the one for all: what has narrower ones cannot carry all that they match.
    return own !== undefined && own.outbound !== null && isAlike(own, forAll) ? own.outboundSpi : null;
  });
  const { localSelectors, remoteSelectors } = forAll.inbound;
  const { child } = before;
  const isNarrowed = !equalLists(localSelectors, child.localSelectors) || !equalLists(remoteSelectors, child.remoteSelectors);
  turn.effects.push({
    kind: "installPolicy",
    policy: {
      id: policyId(link, childName),
      localSelectors,
      remoteSelectors,
      ...(isNarrowed ? { claims: { localSelectors: child.localSelectors, remoteSelectors: child.remoteSelectors } } : {}),
      ...throughInterface(link.config),
      action: { kind: "protect", spi: forAll.outboundSpi, ...(spis.some((spi) => spi !== null) ? { workerSpis: spis } : {}) },
    },
  });
}
