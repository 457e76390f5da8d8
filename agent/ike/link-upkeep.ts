import { liveChildren } from "./child-sa.ts";
import { closeDuplicateChildren, closeOutdatedChildren, confirmMade, createMissingChildren, sendOverKnown } from "./child-upkeep.ts";
import { type EstablishedPhase, establishedPhase, type IkeSa, isBeginning, isEnding, type Link, waitsForPackets } from "./ike-sa.ts";
import { traceFinding } from "./diagnosis/failure.ts";
import { duplicateIkeSas } from "./diagnosis/lifetime.ts";
import { closeSurplus, upkeepFurther } from "./further-children.ts";
import { closeEmptied, watchActivity } from "./inactivity.ts";
import { isKnownToPeer } from "./known-to-peer.ts";
import { queueDeleteIke } from "./task.ts";
import { traceChoice } from "./trace.ts";
import { emitEvent, ikeSaById, ikeSasOf, type Turn } from "./turn.ts";
import { compareNonces } from "./v2/exchange-values.ts";
import { beginIkeSa } from "./v2/ike-sa-init.ts";
import { isUndecided } from "./v2/rekey-ike.ts";
import { postpone } from "./v2/retry.ts";

/*
 * After every input each link is compared with what it should be, and what is missing is begun: the one place where SAs are
 * started, whatever made them necessary.
 */

/** How long the peer has to close a duplicate that is its to close. */
const DUPLICATE_MS = 10_000;
/** How long the peer has to delete the IKE SA that it has replaced by a newer one. */
const FORGOTTEN_MS = 30_000;

export function upkeepLink(turn: Turn, link: Link): void {
  reviveLast(turn, link);
  resolveDuplicates(turn, link);
  finishReplacements(turn, link);
  takePeersReplacement(turn, link);
  closeOutdatedChildren(turn, link);
  for (const sa of inUse(turn, link)) {
    closeDuplicateChildren(turn, link, sa, sa.phase);
    closeSurplus(turn, link, sa, sa.phase);
  }
  sendOverKnown(turn, link, inUse(turn, link).at(-1));
  closeWhatRests(turn, link);
  forgetAttempts(turn, link);
  begin(turn, link);
  const main = inUse(turn, link).at(-1);
  if (main !== undefined) {
    upkeepFurther(link, main, main.phase);
    confirmMade(main, main.phase);
  }
  watchActivity(turn, link);
  updateState(turn, link);
}

type Established = IkeSa & { phase: EstablishedPhase };

/** IKE SAs in use, the one authenticated last at the end; left out are rekeyed ones, and what waits for its end or for a collision's. */
function inUse(turn: Turn, link: Link): Established[] {
  const used = ikeSasOf(turn, link.config.id).filter((sa): sa is Established => {
    const phase = establishedPhase(sa);
    return phase !== null && phase.successor === null && phase.abandonAt === null && !isEnding(sa) && !isUndecided(turn, sa);
  });
  return used.sort((a, b) => a.phase.authentication.begunAt - b.phase.authentication.begunAt);
}

function begin(turn: Turn, link: Link): void {
  if (link.wanted === "down" || link.retryAt !== null) return;
  const sas = ikeSasOf(turn, link.config.id);
  if (sas.some((sa) => isBeginning(sa))) return;
  const current = inUse(turn, link);
  const main = current.at(-1);
  if (main === undefined) {
    // A rekeyed SA whose successor is there is in inUse; one that is being taken over has no children to lose.
    const isWanted = link.wanted === "up" || link.replaceWantedAt !== null;
    if (isWanted && !sas.some((sa) => establishedPhase(sa)?.abandonAt === null && establishedPhase(sa)?.successor === null && !isEnding(sa)))
      connect(turn, link, null);
    return;
  }
  if (link.replaceWantedAt !== null && main.replaces === null) return connect(turn, link, current.findLast(carriesTraffic) ?? main);
  createMissingChildren(turn, link, main, main.phase);
}

function closeWhatRests(turn: Turn, link: Link): void {
  const used = inUse(turn, link);
  for (const sa of used) closeEmptied(turn, link, sa, sa.phase);
  if (used.length === 0) return link.resting.clear();
  // One that a closed one was to outlive rests as well.
  if (inUse(turn, link).length === 0 && reviveLast(turn, link)) closeWhatRests(turn, link);
}

/**
 * A packet wants through: one attempt, unless there is or begins an IKE SA; whatever that one does not carry is made by `begin`, but for
 * what was closed since.
 */
export function wake(turn: Turn, link: Link, childName: string): void {
  if (link.wanted === "down" || !waitsForPackets(link)) return;
  const main = inUse(turn, link).at(-1);
  if (main !== undefined && link.resting.delete(childName)) {
    traceChoice(turn, link.config.id, "ACQUIRE", `A packet wants through "${childName}".`);
    main.window.queue.push({ kind: "createChild", childName });
    return;
  }
  if (link.retryAt !== null && link.retryAt > turn.now) return;
  if (ikeSasOf(turn, link.config.id).some((sa) => sa.phase.kind !== "closed" && !isEnding(sa))) return;
  traceChoice(turn, link.config.id, "ACQUIRE", "A packet wants through the link.");
  connect(turn, link, null);
}

function connect(turn: Turn, link: Link, replaces: IkeSa | null): void {
  const { remoteAddresses } = link.config;
  const address = remoteAddresses.length > 0 ? remoteAddresses[link.attempts % remoteAddresses.length]! : replaces?.remote.address;
  if (address === undefined) {
    link.replaceWantedAt = null;
    return;
  }
  link.attempts += 1;
  postpone(turn, link);
  beginIkeSa(turn, link, address, replaces?.id ?? null);
}

/** Make before break: the old IKE SA goes when the new one carries all that the old one carried. */
function finishReplacements(turn: Turn, link: Link): void {
  for (const sa of inUse(turn, link)) {
    if (sa.replaces === null) continue;
    const old = ikeSaById(turn, sa.replaces);
    const oldPhase = old === null ? null : establishedPhase(old);
    if (old !== null && oldPhase !== null) {
      // Whether it will carry a child more is not known before the answer is there.
      if (old.window.outstanding?.task.kind === "createChild") continue;
      if (!takesOver(link, sa, oldPhase)) continue;
      traceChoice(turn, link.config.id, "REPLACE", "The new IKE SA carries all the traffic; the old one is deleted.");
      queueDeleteIke(old);
    }
    sa.replaces = null;
    link.replaceWantedAt = null;
  }
}

/** The peer has begun what this side wants too: what was authenticated since then carries all that is left, and the old one is the peer's to delete. */
function takePeersReplacement(turn: Turn, link: Link): void {
  const since = link.replaceWantedAt;
  const used = inUse(turn, link);
  const main = used.at(-1);
  if (since === null || main === undefined || main.replaces !== null || main.phase.authentication.begunAt <= since) return;
  if (!used.every((sa) => sa === main || takesOver(link, main, sa.phase))) return;
  traceChoice(turn, link.config.id, "REPLACE", "The peer has authenticated the link anew: nothing is left for this side to replace.");
  link.replaceWantedAt = null;
}

function carriesTraffic(sa: Established): boolean {
  return namesOf(sa.phase).length > 0;
}

/** All that `old` carries and the link still wants is on this one too, at the peer as well. */
function takesOver(link: Link, sa: Established, old: EstablishedPhase): boolean {
  const own = knownNamesOf(sa);
  return namesOf(old).every((name) => own.includes(name) || !link.policies.has(name));
}

/** Of those that the peer is known to have too. */
function knownNamesOf(sa: Established): string[] {
  return [...sa.phase.children.values()].filter((child) => child.state.kind === "established" && isKnownToPeer(sa, child)).map((child) => child.name);
}

function namesOf(phase: EstablishedPhase): string[] {
  return [...phase.children.values()].filter((child) => child.state.kind === "established").map((child) => child.name);
}

/**
 * Two IKE SAs of one link. Both ends began at once: as for a rekey (RFC 7296 §2.8.2) the one with the lowest nonce is closed by
 * whoever began it, after the peer has shown on the other one that it has it; its traffic moves over first. One after the other:
 * the peer replaces the older one and closes it, and if it forgets, we do.
 */
function resolveDuplicates(turn: Turn, link: Link): void {
  const sas = inUse(turn, link);
  for (const [index, one] of sas.entries()) {
    for (const other of sas.slice(index + 1)) {
      if (one.phase.abandonAt !== null || other.phase.abandonAt !== null) continue;
      if (overlapped(one, other)) closeLowestNonce(turn, link, one, other);
      else if (other.replaces === null && namesOf(one.phase).every((name) => namesOf(other.phase).includes(name)))
        one.phase.abandonAt = turn.now + FORGOTTEN_MS;
    }
  }
}

function closeLowestNonce(turn: Turn, link: Link, one: Established, other: Established): void {
  const [loser, winner] = compareNonces(one.phase.authentication.lowestNonce, other.phase.authentication.lowestNonce) < 0 ? [one, other] : [other, one];
  const isOurs = loser.phase.begunAs === "initiator";
  traceFinding(turn, link.config.id, "IKE_AUTH", duplicateIkeSas(isOurs ? "this side" : "the peer", [winner, loser]));
  loser.phase.abandonAt = turn.now + DUPLICATE_MS;
  // What the loser was to replace, the winner replaces.
  winner.replaces ??= loser.replaces;
  loser.replaces = null;
  if (isOurs) winner.window.queue.push({ kind: "liveness", thenDelete: loser.id });
}

/** The SA that was to outlive a superseded one is gone: the superseded one is what is left, or of several the one that stays of them. Whether there is any. */
function reviveLast(turn: Turn, link: Link): boolean {
  if (inUse(turn, link).length > 0) return false;
  let isAny = false;
  for (const sa of ikeSasOf(turn, link.config.id)) {
    const phase = establishedPhase(sa);
    if (phase === null || phase.successor !== null || phase.abandonAt === null || isEnding(sa)) continue;
    phase.abandonAt = null;
    isAny = true;
  }
  return isAny;
}

/** Each was under negotiation when the other was: neither is a reauthentication of the other, as one begun in the same millisecond may be. */
function overlapped(a: Established, b: Established): boolean {
  if (a.phase.begunAs === b.phase.begunAs || a.replaces === b.id || b.replaces === a.id) return false;
  const [first, second] = [a.phase.authentication, b.phase.authentication];
  return first.begunAt <= second.doneAt && second.begunAt <= first.doneAt;
}

function updateState(turn: Turn, link: Link): void {
  forgetAttempts(turn, link);
  const state = stateOf(turn, link);
  if (state === link.state) return;
  const wasUp = link.state === "up" || link.state === "degraded";
  const isUp = state === "up" || state === "degraded";
  link.state = state;
  link.since = turn.now;
  if (isUp && !wasUp) emitEvent(turn, { kind: "linkUp", linkId: link.config.id });
  if (wasUp && !isUp) emitEvent(turn, { kind: "linkDown", linkId: link.config.id });
}

/** A link that is up waits for nothing but what it has left to the peer. */
function forgetAttempts(turn: Turn, link: Link): void {
  if (link.retryAt === null || link.replaceWantedAt !== null || stateOf(turn, link) !== "up") return;
  if (inUse(turn, link).at(-1)?.phase.leftToPeer === true) return;
  link.retryAt = null;
  link.retryDelayMs = turn.engine.options.retryFirstMs;
  link.attempts = 0;
}

function stateOf(turn: Turn, link: Link): Link["state"] {
  const sas = ikeSasOf(turn, link.config.id);
  if (sas.some((sa) => establishedPhase(sa) !== null && !isEnding(sa))) {
    const live = link.config.children.filter((child) => liveChildren(turn, link.config.id, child.name).length > 0).length;
    if (live === link.config.children.length) return "up";
    return live > 0 ? "degraded" : "negotiating";
  }
  return sas.some((sa) => isBeginning(sa) || sa.phase.kind === "initAnswered") ? "negotiating" : "down";
}
