import { dropPending } from "./v2/follow-up-ke.ts";
import { type ChildSa, dropChild, endInbound } from "./child-sa.ts";
import { childrenOf, establishedPhase, type IkeSa, isEnding, type Link } from "./ike-sa.ts";
import type { Instant } from "./endpoint-types.ts";
import { expiredIn } from "../crypto/x509.ts";
import { recordFailure } from "./diagnosis/failure.ts";
import { certificateRefused } from "./diagnosis/identities.ts";
import { expiryCheckAt } from "./negotiation/peer-expiry.ts";
import { furtherTimer, resumeFurther } from "./further-children.ts";
import { closeInactive } from "./inactivity.ts";
import { isIrreplaceable } from "./known-to-peer.ts";
import { closeWithPeer } from "./link.ts";
import { beginDueRekey, postponedRekey } from "./rekey-pace.ts";
import { retransmitOrGiveUp } from "./requests.ts";
import { removeIkeSa } from "./sa-removal.ts";
import { traceChoice } from "./trace.ts";
import type { Timer } from "./timer-queue.ts";
import { type EngineState, linkById, touchIkeSa, type Turn } from "./turn.ts";

/*
 * Everything that happens by time: `linkTimer` and `ikeSaTimer` say when, `runTimers` does what is due.
 */

/** RFC 7296 §2.4 leaves it open; a handshake over a bad line is done by then. */
const HALF_OPEN_MS = 30_000;
/** RFC 3948 §4: NAT mappings live from 30 s. */
const NAT_KEEPALIVE_MS = 20_000;
/** How long a superseded IKE SA on which the peer has been heard of late waits for what is to take its place. */
const AWAITED_MS = 30_000;

/** The earliest thing to do; null: nothing. */
export function earliestTimer({ timers }: EngineState): Timer | null {
  let earliest: Timer | null = null;
  for (const { earliest: timer } of [timers.graves, timers.links, timers.ikeSas])
    if (timer !== null && (earliest === null || timer.at < earliest.at)) earliest = timer;
  return earliest;
}

/** When to look at a link again. */
export function linkTimer(link: Link): Timer | null {
  const { wanted, retryAt, lookAt, config } = link;
  const further = furtherTimer(link);
  let earliest: Timer | null = wanted === "down" || retryAt === null ? null : { at: retryAt, reason: `retry ${config.id}` };
  if (lookAt !== null && (earliest === null || lookAt < earliest.at)) earliest = { at: lookAt, reason: `inactivity ${config.id}` };
  if (further !== null && (earliest === null || further < earliest.at)) earliest = { at: further, reason: `further Child SAs ${config.id}` };
  return earliest;
}

/** When to look at an IKE SA and its children again. */
export function ikeSaTimer(engine: EngineState, sa: IkeSa): Timer | null {
  let earliest: Timer | null = null;
  const consider = (at: Instant | null, reason: string): void => {
    if (at !== null && Number.isFinite(at) && (earliest === null || at < earliest.at)) earliest = { at, reason };
  };
  consider(sa.window.outstanding?.nextAt ?? null, "retransmission");
  const { phase } = sa;
  if (phase.kind === "initAnswered") consider(sa.createdAt + HALF_OPEN_MS, "half-open IKE SA");
  if (phase.kind === "closed") consider(phase.forgetAt, "closed IKE SA");
  if (phase.kind !== "established" || isEnding(sa)) return earliest;
  consider(phase.rekeyAt, "IKE rekey");
  consider(phase.expiresAt, "IKE SA expiry");
  consider(phase.reauthenticateAt, "reauthentication");
  consider(phase.expiryCheckAt, "end of the peer's certificate");
  consider(phase.abandonAt, "superseded IKE SA");
  for (const pending of phase.pending) consider(pending.forgetAt, "half-made SA");
  consider(livenessAt(engine, sa), "liveness");
  consider(keepaliveAt(sa), "NAT keepalive");
  consider(probeAt(sa), "path probe");
  for (const child of phase.children.values()) {
    if (child.state.kind === "deleting") continue;
    consider(child.rekeyAt, "Child SA rekey");
    consider(child.expiresAt, "Child SA expiry");
    if (child.state.kind === "rekeyed") consider(child.state.abandonAt, "superseded Child SA");
  }
  return earliest;
}

/** Does what is due. Who is due is touched, and so has its next time set after the turn. */
export function runTimers(turn: Turn): void {
  const { engine, now } = turn;
  for (const grave of engine.timers.graves.takeDue(now)) endInbound(turn, grave);
  const links = engine.timers.links.takeDue(now).filter((link) => linkById(turn, link.config.id) === link);
  const sas = engine.timers.ikeSas.takeDue(now);
  for (const sa of sas) touchIkeSa(turn, sa);
  for (const link of links) {
    if (link.retryAt !== null && link.retryAt <= now) link.retryAt = null;
    if (link.lookAt !== null && link.lookAt <= now) closeInactive(turn, link);
    resumeFurther(link, now);
  }
  for (const sa of sas) {
    // What another's timer has just removed has none any more.
    if (engine.ikeSas.byId(sa.id) !== sa) continue;
    retransmitOrGiveUp(turn, sa);
    runIkeTimers(turn, sa);
    for (const child of [...childrenOf(sa).values()]) runChildTimers(turn, sa, child);
  }
}

function runIkeTimers(turn: Turn, sa: IkeSa): void {
  const { phase } = sa;
  const { now } = turn;
  if (phase.kind === "initAnswered" && sa.createdAt + HALF_OPEN_MS <= now) {
    traceChoice(turn, sa.linkId, "IKE_SA_INIT", `${sa.remote.address} did not go on with IKE_AUTH; the half-open IKE SA is dropped.`);
    return removeIkeSa(turn, sa);
  }
  if (phase.kind === "closed" && phase.forgetAt <= now) return removeIkeSa(turn, sa);
  if (phase.kind !== "established" || isEnding(sa)) return;
  if (phase.expiresAt <= now) {
    recordFailure(turn, sa.linkId, "LIFETIME", { code: "IKE_SA_EXPIRED", sentence: "The IKE SA reached its end without having been rekeyed." });
    return closeWithPeer(turn, sa);
  }
  const expired = expiredIn(phase.authentication.path, turn.wallNow);
  if (expired !== null) {
    recordFailure(turn, sa.linkId, "EXPIRY", certificateRefused(phase.remoteIdentity, expired));
    return closeWithPeer(turn, sa);
  }
  if (phase.expiryCheckAt !== null && phase.expiryCheckAt <= now) phase.expiryCheckAt = expiryCheckAt(phase.authentication.path, turn);
  if (phase.abandonAt !== null && phase.abandonAt <= now && isAwaited(turn, sa)) phase.abandonAt = now + AWAITED_MS;
  if (phase.abandonAt !== null && phase.abandonAt <= now) {
    traceChoice(turn, sa.linkId, "INFORMATIONAL", "The peer did not delete the superseded IKE SA; this side does.");
    return closeWithPeer(turn, sa);
  }
  if (phase.rekeyAt !== null && phase.rekeyAt <= now) {
    phase.rekeyAt = postponedRekey(turn, phase.expiresAt);
    if (phase.rekeyAt === null) beginDueRekey(turn, sa, { kind: "rekeyIke" });
  }
  for (const pending of phase.pending.filter((one) => one.forgetAt <= now)) {
    traceChoice(turn, sa.linkId, "IKE_FOLLOWUP_KE", "The peer did not go on with its additional key exchanges; what was agreed on is dropped.");
    dropPending(turn, phase, pending);
  }
  const link = linkById(turn, sa.linkId);
  if (phase.reauthenticateAt !== null && phase.reauthenticateAt <= now) {
    phase.reauthenticateAt = null;
    // At once, and not when what is missing may be asked for again.
    if (link !== null) Object.assign(link, { replaceWantedAt: now, retryAt: null });
  }
  const liveness = livenessAt(turn.engine, sa);
  if (liveness !== null && liveness <= now) sa.window.queue.push({ kind: "liveness", thenDelete: null });
  const probe = probeAt(sa);
  if (probe !== null && probe <= now) sa.window.queue.push({ kind: "pathProbe" });
  const keepalive = keepaliveAt(sa);
  if (keepalive !== null && keepalive <= now && sa.local !== null) {
    sa.lastSentAt = now;
    turn.effects.push({ kind: "natKeepalive", local: sa.local, remote: sa.remote });
  }
}

/** The peer, which is there, may not have our answer that makes what is to carry the traffic in place of this IKE SA's. */
function isAwaited(turn: Turn, sa: IkeSa): boolean {
  const link = linkById(turn, sa.linkId);
  return link !== null && sa.lastReceivedAt > turn.now - AWAITED_MS && isIrreplaceable(turn, link, sa);
}

function runChildTimers(turn: Turn, sa: IkeSa, child: ChildSa): void {
  const { now } = turn;
  const link = linkById(turn, sa.linkId);
  if (establishedPhase(sa) === null || isEnding(sa) || child.state.kind === "deleting") return;
  if (child.expiresAt <= now) {
    recordFailure(turn, sa.linkId, "LIFETIME", {
      code: "CHILD_SA_EXPIRED",
      sentence: `The Child SA "${child.name}" reached its end without having been rekeyed.`,
    });
    return endChild(turn, sa, link, child);
  }
  if (child.state.kind === "rekeyed" && child.state.abandonAt !== null && child.state.abandonAt <= now) return endChild(turn, sa, link, child);
  if (child.rekeyAt !== null && child.rekeyAt <= now) {
    child.rekeyAt = postponedRekey(turn, child.expiresAt);
    if (child.rekeyAt === null) beginDueRekey(turn, sa, { kind: "rekeyChild", childSaId: child.id });
  }
}

/** Through a DELETE exchange where one can be had. */
function endChild(turn: Turn, sa: IkeSa, link: Link | null, child: ChildSa): void {
  if (establishedPhase(sa)?.successor !== null) return dropChild(turn, sa, link, child);
  child.state = { kind: "deleting" };
  sa.window.queue.push({ kind: "deleteChild", childSaId: child.id });
}

/** RFC 7296 §2.4: only when nothing was heard for a while, and nothing is on its way that would tell as well. */
function livenessAt(engine: EngineState, sa: IkeSa): Instant | null {
  const interval = sa.linkId === null ? 0 : (engine.links.get(sa.linkId)?.config.livenessMs ?? 0);
  return interval === 0 || sa.window.outstanding !== null || sa.window.queue.length > 0 ? null : sa.lastReceivedAt + interval;
}

function keepaliveAt(sa: IkeSa): Instant | null {
  const nat = sa.phase.kind === "established" ? sa.phase.session.nat : "none";
  return nat === "local" || nat === "both" ? sa.lastSentAt + NAT_KEEPALIVE_MS : null;
}

/** Only while nothing else is to be sent: it can wait, and what comes behind it may have to wait for it. */
function probeAt(sa: IkeSa): Instant | null {
  return sa.path?.prober !== sa || sa.window.outstanding !== null || sa.window.queue.length > 0 ? null : sa.path.search.nextAt;
}
