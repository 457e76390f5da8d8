import type { ChildSa } from "./child-sa.ts";
import { establishedPhase, type IkeSa, type Link } from "./ike-sa.ts";
import { ikeSasOf, type Turn } from "./turn.ts";

/*
 * A responder has its Child SA from its answer on, the peer from when that answer arrives (RFC 7296 §2.8). It is known to have arrived when
 * the peer does what it could not do without it; until then traffic over that Child SA may find nothing at the peer.
 */

/** Longer than a peer takes to go on after an answer of ours that reaches it, sent again once or twice. */
const ON_ITS_WAY_MS = 5_000;

/** As often as a bad line loses a request or its answer. */
const DESERTED_SENDS = 3;

/** A Child SA that can be sent over, and where it is. */
export interface Usable {
  readonly sa: IkeSa;
  readonly child: ChildSa;
}

/** Whether traffic on it finds its SA at the peer: our answer is known to have arrived, since the peer could not go on without it. */
export function isKnownToPeer(sa: IkeSa, child: ChildSa): boolean {
  const { answer } = child;
  if (answer === null || answer.ikeSaId !== sa.id || sa.window.nextReceive > answer.nextReceive) return true;
  // Nothing else is answered by a peer that has no answer to its IKE_AUTH yet.
  return answer.inAuth && sa.window.nextSend > (sa.window.outstanding === null ? 0 : 1);
}

/** An answer of the peer on this IKE SA would say that it has this one; nothing has been asked there yet. */
export function canBeAskedFor(sa: IkeSa, { answer }: ChildSa): boolean {
  return answer?.inAuth === true && sa.window.outstanding === null && sa.window.queue.length === 0;
}

/**
 * The peer has not answered there for several sends, and has been heard on another IKE SA since, and not on this one: it lives, and may have taken us for
 * dead here.
 */
export function isDeserted(turn: Turn, link: Link, { id, lastReceivedAt, window: { outstanding } }: IkeSa): boolean {
  if (outstanding === null || outstanding.sends < DESERTED_SENDS) return false;
  const since = Math.max(outstanding.firstSentAt, lastReceivedAt);
  const isHeard = (sa: IkeSa): boolean => sa.id !== id && establishedPhase(sa) !== null && sa.lastReceivedAt > since;
  return ikeSasOf(turn, link.config.id).some(isHeard);
}

/** Those of this name that a policy can point at, the one installed last at the end. */
export function usableChildren(turn: Turn, link: Link, name: string): Usable[] {
  const usable: Usable[] = [];
  for (const sa of ikeSasOf(turn, link.config.id)) {
    for (const child of establishedPhase(sa)?.children.values() ?? [])
      if (child.name === name && child.outbound !== null && child.state.kind !== "deleting") usable.push({ sa, child });
  }
  return usable.sort((a, b) => a.child.installedAt - b.child.installedAt);
}

export function newestKnown(usable: readonly Usable[]): ChildSa | null {
  return usable.findLast(({ sa, child }) => isKnownToPeer(sa, child))?.child ?? null;
}

/** A policy points into this IKE SA, and the peer is not known to have anything else for it. */
export function isIrreplaceable(turn: Turn, link: Link, sa: IkeSa): boolean {
  return [...link.policies].some(([name, { childSaId }]) => {
    const usable = usableChildren(turn, link, name);
    return usable.some((one) => one.sa === sa && one.child.id === childSaId) && newestKnown(usable.filter((one) => one.sa !== sa)) === null;
  });
}

/**
 * What a policy goes to from a child that ends: a rekeyed child names its successor; otherwise the newest one that the peer is known to have. When it
 * ends by our doing, our answer that makes the successor may not have arrived: then the successor is one like the others.
 */
export function fallbackFor(turn: Turn, link: Link, gone: ChildSa): ChildSa | null {
  const others = usableChildren(turn, link, gone.name).filter(({ child }) => child.id !== gone.id);
  const { state } = gone;
  const successor = others.find(({ child }) => state.kind === "rekeyed" && child.id === state.successorId);
  if (successor !== undefined && isKnownToPeer(successor.sa, successor.child)) return successor.child;
  return newestKnown(others) ?? likeliest(others)?.child ?? null;
}

/**
 * Of answers that may still be on their way the oldest is the likeliest to have arrived. Not one from long before the last: a peer that had it would
 * have gone on by now; nor one on an IKE SA whose peer does not answer. `sendOverKnown` (child-upkeep.ts) corrects a wrong guess.
 */
function likeliest(usable: readonly Usable[]): Usable | null {
  const last = usable.at(-1);
  if (last === undefined) return null;
  const recent = usable.filter(({ child }) => child.installedAt > last.child.installedAt - ON_ITS_WAY_MS);
  return recent.find(({ sa }) => (sa.window.outstanding?.sends ?? 0) < 2) ?? last;
}
