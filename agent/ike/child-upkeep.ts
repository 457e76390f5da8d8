import { equalLists } from "../ipsec/traffic-selector.ts";
import type { ChildSa } from "./child-sa.ts";
import type { ChildConfig } from "./endpoint-types.ts";
import { type EstablishedPhase, establishedPhase, type IkeSa, type Link, waitsForPackets } from "./ike-sa.ts";
import { canBeAskedFor, isDeserted, isKnownToPeer, type Usable, usableChildren } from "./known-to-peer.ts";
import { hex32, traceChoice } from "./trace.ts";
import { isAlike, placeOf, sendAllOver, sendOver } from "./traffic-policy.ts";
import { ikeSasOf, randomShare, type Turn } from "./turn.ts";
import { compareNonces } from "./v2/exchange-values.ts";
import { postpone } from "./v2/retry.ts";

/* The Child SAs of an IKE SA compared with those the link should have: what is missing is made, what is there twice is closed. */

/** How long the end that did not begin the IKE SA leaves it to the other one to make what is missing. */
const LEFT_TO_PEER_MS = 5_000;
/** How long the peer has to delete a duplicate that is its to delete. */
const DUPLICATE_MS = 60_000;

/**
 * An end that starts the link makes them: at once if it began the IKE SA, otherwise if the peer, which may only respond, has not
 * done so after a while. So both ends do not make the same child twice.
 */
export function createMissingChildren(turn: Turn, link: Link, sa: IkeSa, phase: EstablishedPhase): void {
  // A packet or a command has begun a link that only waits: what has been begun is made whole.
  const isWoken = link.wanted === "respond" && waitsForPackets(link) && phase.begunAs === "initiator";
  const missing = link.wanted === "up" || isWoken ? missingChildren(link, phase) : [];
  if (missing.length === 0) {
    phase.leftToPeer = false;
    return;
  }
  if (hasChildTask(sa)) return;
  if (phase.begunAs === "responder" && !phase.leftToPeer) {
    phase.leftToPeer = true;
    link.retryAt = turn.now + LEFT_TO_PEER_MS * (1 + 0.5 * randomShare(turn));
    return;
  }
  phase.leftToPeer = false;
  for (const childName of missing) sa.window.queue.push({ kind: "createChild", childName });
  postpone(turn, link);
}

/**
 * All is made that can be, and the peer, which answered last, does not know that it has arrived here (RFC 7296 §2.8): it hears so, for it may be sending
 * over an older IKE SA that we cannot tell it the end of, because we have given that one up or an answer is missing there.
 */
export function confirmMade({ window }: IkeSa, phase: EstablishedPhase): void {
  if (!phase.toConfirm || window.outstanding !== null || window.queue.length > 0) return;
  phase.toConfirm = false;
  window.queue.push({ kind: "liveness", thenDelete: null });
}

/** A child of which the configuration says something else by now, or nothing any more: also one whose exchange was under way when that changed. */
export function closeOutdatedChildren(turn: Turn, link: Link): void {
  for (const sa of ikeSasOf(turn, link.config.id)) {
    for (const child of establishedPhase(sa)?.children.values() ?? []) {
      if (child.state.kind !== "established" || isCurrent(link, child.config)) continue;
      if (sa.window.queue.some((task) => task.kind === "deleteChild" && task.childSaId === child.id)) continue;
      sa.window.queue.push({ kind: "deleteChild", childSaId: child.id });
    }
  }
}

function isCurrent(link: Link, config: ChildConfig): boolean {
  return link.config.children.some(
    (child) =>
      child === config ||
      (child.name === config.name &&
        child.mode === config.mode &&
        equalLists(child.localSelectors, config.localSelectors) &&
        equalLists(child.remoteSelectors, config.remoteSelectors)),
  );
}

/**
 * Both ends have asked for the same child, or a peer has asked again: as for rekeys (RFC 7296 §2.8.1) the one with the lowest nonce
 * goes. The end that asked for the one that stays knows that both have it, and deletes the other.
 */
export function closeDuplicateChildren(turn: Turn, link: Link, sa: IkeSa, phase: EstablishedPhase): void {
  const live = [...phase.children.values()].filter((child) => child.state.kind === "established");
  for (const loser of live) {
    const winner = live.find((other) => isDuplicate(other, loser) && compareNonces(other.lowestNonce, loser.lowestNonce) > 0);
    if (winner === undefined) continue;
    const isOurs = winner.madeAs === "initiator";
    traceChoice(
      turn,
      link.config.id,
      "CHILD_SA",
      `There are two Child SAs of "${loser.name}": ${hex32(loser.inbound.spi)} (in) has the lowest nonce and is closed by ${isOurs ? "this side" : "the peer"}.`,
    );
    loser.state = { kind: "rekeyed", successorId: winner.id, abandonAt: isOurs ? null : turn.now + DUPLICATE_MS };
    loser.rekeyAt = null;
    if (!isOurs) continue;
    sendOver(turn, link, winner);
    sa.window.queue.push({ kind: "deleteChild", childSaId: loser.id });
  }
}

/**
 * Points each policy at what the peer is known to have: the one for all that serves best, and beside it, for single workers, what of `main`, the IKE SA authenticated last,
 * may have others beside it. Whoever asked for it sends first, so that no packet comes before its SA.
 */
export function sendOverKnown(turn: Turn, link: Link, main: IkeSa | undefined): void {
  const isThere = ({ sa, child }: Usable): boolean => isKnownToPeer(sa, child) && !isDeserted(turn, link, sa);
  for (const name of link.policies.keys()) {
    const usable = usableChildren(turn, link, name);
    sendAllOverKnown(turn, link, name, usable, main, isThere);
    for (const one of usable)
      if (one.sa === main && one.child.isShared && one.child.state.kind === "established" && isThere(one)) sendOver(turn, link, one.child);
  }
}

/**
 * What a policy was on may have ended while the peer was not known to have any other: then it points at one whose answer of ours may never arrive. As soon as
 * another one is known to be there it goes to that one, and a peer that can be asked for what it has is asked at once. And once the peer has what it has begun
 * anew (`main`), the older one may end any time, unheard by us; it may have given up the newer one as well, if it does not answer there and is heard elsewhere.
 */
function sendAllOverKnown(turn: Turn, link: Link, name: string, usable: readonly Usable[], main: IkeSa | undefined, isThere: (one: Usable) => boolean): void {
  const policy = link.policies.get(name);
  const current = usable.find(({ child }) => child.id === policy?.childSaId);
  if (current === undefined || usable.length === 1) return;
  const isGood = isThere(current);
  // One that has been a single worker's so far serves all of them better than one that the peer may not have.
  const others = usable.filter(({ sa, child }) => child !== current.child && (!isGood || (sa === main && placeOf(policy, child.id) === null)));
  const better = isGood && current.sa === main ? null : (others.findLast(isThere)?.child ?? null);
  if (better !== null) {
    if (isGood) sendOver(turn, link, better);
    else sendAllOver(turn, link, better);
    if (link.policies.get(name)?.childSaId === better.id)
      traceChoice(turn, link.config.id, "CHILD_SA", `"${name}" is sent over ${hex32(better.outboundSpi)} (out), which the peer is known to have.`);
  } else if (!isGood) {
    for (const { sa, child } of usable) if (canBeAskedFor(sa, child)) sa.window.queue.push({ kind: "liveness", thenDelete: null });
  }
}

/** Where both ends have said so there may be several (further-children.ts). */
function isDuplicate(a: ChildSa, b: ChildSa): boolean {
  return a.name === b.name && isAlike(a, b) && !(a.isShared && b.isShared);
}

/** The IKE SA in use is to carry them all: what an older one still carries ends with that one. */
function missingChildren(link: Link, phase: EstablishedPhase): string[] {
  const own = [...phase.children.values()].filter((child) => child.state.kind === "established").map((child) => child.name);
  return link.config.children.map((child) => child.name).filter((name) => !own.includes(name) && !link.resting.has(name));
}

/** Whether a request about Child SAs is under way or waits. */
export function hasChildTask(sa: IkeSa): boolean {
  const task = sa.window.outstanding?.task;
  const isChildTask = (kind: string): boolean => kind === "createChild" || kind === "rekeyChild" || kind === "deleteChild" || kind === "rekeyIke";
  return (task !== undefined && isChildTask(task.kind)) || sa.window.queue.some((one) => isChildTask(one.kind));
}
