import { dropPending } from "./v2/follow-up-ke.ts";
import { type ChildSa, dropChild } from "./child-sa.ts";
import { childrenOf, establishedPhase, type IkeSa, isEnding, type Link } from "./ike-sa.ts";
import type { Instant } from "./endpoint-types.ts";
import { recordFailure } from "./diagnosis/failure.ts";
import { closeWithPeer } from "./link.ts";
import { retransmitOrGiveUp } from "./requests.ts";
import { removeIkeSa } from "./sa-removal.ts";
import { traceChoice } from "./trace.ts";
import type { EngineState, Turn } from "./turn.ts";

/*
 * Everything that happens by time. `dueTimes` says when, `runTimers` does what is due; both walk all SAs, which for the hundreds
 * of a gateway costs less than keeping a heap right.
 */

/** RFC 7296 §2.4 leaves it open; a handshake over a bad line is done by then. */
const HALF_OPEN_MS = 30_000;
/** RFC 3948 §4: NAT mappings live from 30 s. */
const NAT_KEEPALIVE_MS = 20_000;

export interface Timer {
  readonly at: Instant;
  readonly reason: string;
}

/** The earliest thing to do; null: nothing. */
export function earliestTimer(engine: EngineState): Timer | null {
  let earliest: Timer | null = null;
  const consider = (at: Instant | null, reason: string): void => {
    if (at !== null && Number.isFinite(at) && (earliest === null || at < earliest.at)) earliest = { at, reason };
  };
  for (const grave of engine.graves) consider(grave.at, "old inbound SA");
  for (const link of engine.links.values()) if (link.wanted !== "down") consider(link.retryAt, `retry ${link.config.id}`);
  for (const sa of engine.ikeSas.values()) {
    consider(sa.window.outstanding?.nextAt ?? null, "retransmission");
    const { phase } = sa;
    if (phase.kind === "initAnswered") consider(sa.createdAt + HALF_OPEN_MS, "half-open IKE SA");
    if (phase.kind === "closed") consider(phase.forgetAt, "closed IKE SA");
    if (phase.kind !== "established" || isEnding(sa)) continue;
    consider(phase.rekeyAt, "IKE rekey");
    consider(phase.expiresAt, "IKE SA expiry");
    consider(phase.reauthenticateAt, "reauthentication");
    consider(phase.abandonAt, "superseded IKE SA");
    for (const pending of phase.pending) consider(pending.forgetAt, "half-made SA");
    consider(livenessAt(engine, sa), "liveness");
    consider(keepaliveAt(sa), "NAT keepalive");
    for (const child of phase.children.values()) {
      consider(child.rekeyAt, "Child SA rekey");
      if (child.state.kind !== "deleting") consider(child.expiresAt, "Child SA expiry");
      if (child.state.kind === "rekeyed") consider(child.state.abandonAt, "superseded Child SA");
    }
  }
  return earliest;
}

export function runTimers(turn: Turn): void {
  const { engine, now } = turn;
  for (const grave of engine.graves.splice(0)) {
    if (grave.at <= now) turn.effects.push({ kind: "deleteSa", direction: "inbound", spi: grave.spi });
    else engine.graves.push(grave);
  }
  for (const link of engine.links.values()) if (link.retryAt !== null && link.retryAt <= now) link.retryAt = null;
  for (const sa of [...engine.ikeSas.values()]) {
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
  if (phase.abandonAt !== null && phase.abandonAt <= now) {
    traceChoice(turn, sa.linkId, "INFORMATIONAL", "The peer did not delete the superseded IKE SA; this side does.");
    return closeWithPeer(turn, sa);
  }
  if (phase.rekeyAt !== null && phase.rekeyAt <= now) {
    phase.rekeyAt = null;
    sa.window.queue.push({ kind: "rekeyIke" });
  }
  for (const pending of phase.pending.filter((one) => one.forgetAt <= now)) {
    traceChoice(turn, sa.linkId, "IKE_FOLLOWUP_KE", "The peer did not go on with its additional key exchanges; what was agreed on is dropped.");
    dropPending(turn, phase, pending);
  }
  const link = sa.linkId === null ? undefined : turn.engine.links.get(sa.linkId);
  if (phase.reauthenticateAt !== null && phase.reauthenticateAt <= now) {
    phase.reauthenticateAt = null;
    if (link !== undefined) link.replaceWanted = true;
  }
  const liveness = livenessAt(turn.engine, sa);
  if (liveness !== null && liveness <= now) sa.window.queue.push({ kind: "liveness", thenDelete: null });
  const keepalive = keepaliveAt(sa);
  if (keepalive !== null && keepalive <= now && sa.local !== null) {
    sa.lastSentAt = now;
    turn.effects.push({ kind: "natKeepalive", local: sa.local, remote: sa.remote });
  }
}

function runChildTimers(turn: Turn, sa: IkeSa, child: ChildSa): void {
  const { now } = turn;
  const link: Link | null = sa.linkId === null ? null : (turn.engine.links.get(sa.linkId) ?? null);
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
    child.rekeyAt = null;
    sa.window.queue.push({ kind: "rekeyChild", childSaId: child.id });
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
