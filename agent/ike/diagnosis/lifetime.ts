import type { ChildSa } from "../child-sa.ts";
import type { EstablishedPhase, IkeSa, Link } from "../ike-sa.ts";
import { hex64 } from "../trace.ts";
import type { Turn } from "../turn.ts";
import { type Failure, traceFinding } from "./failure.ts";

/*
 * IKEv2 does not negotiate lifetimes (RFC 7296 §2.8): each end has its own, and the shorter one should rekey. A peer that deletes
 * instead, before this side's time, interrupts the traffic at every end of its lifetime.
 */

/** Whoever deletes sooner than any lifetime ends does not want what was agreed on, such as the mode (RFC 7296 §1.3.1). */
const SHORTEST_LIFETIME_MS = 1_000;

/** The peer deletes a Child SA that nothing has replaced. */
export function noteEarlyChildDelete(turn: Turn, link: Link, child: ChildSa): void {
  if (child.state.kind !== "established" || link.wanted === "down" || turn.now - child.installedAt < SHORTEST_LIFETIME_MS) return;
  traceFinding(turn, link.config.id, "INFORMATIONAL", earlyDelete("Child SA", child.name, turn.now - child.installedAt, link.config.childRekeyMs));
}

/** The same for the IKE SA. */
export function noteEarlyIkeDelete(turn: Turn, link: Link, phase: EstablishedPhase): void {
  if (phase.abandonAt !== null || link.wanted === "down") return;
  traceFinding(turn, link.config.id, "INFORMATIONAL", earlyDelete("IKE SA", link.config.id, turn.now - phase.establishedAt, link.config.ikeRekeyMs));
}

/** `sas`: the one that stays, the one that goes. */
export function duplicateIkeSas(closedBy: "this side" | "the peer", sas: readonly Pick<IkeSa, "spiI" | "spiR">[]): Failure {
  const spis = sas.map((sa) => `${hex64(sa.spiI)}/${hex64(sa.spiR)}`);
  return {
    code: "DUPLICATE_SA",
    sentence: `Both ends began at once, so there are two IKE SAs: ${spis[0]} stays, ${spis[1]} has the lowest nonce and is closed by ${closedBy}, which began it (RFC 7296 §2.8.2).`,
    facts: { cause: "duplicate", closedBy, spis },
  };
}

export function spokenDuration(ms: number): string {
  const seconds = Math.round(ms / 1_000);
  if (seconds < 120) return `${seconds} s`;
  if (seconds < 7_200) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172_800) return `${Math.round(seconds / 360) / 10} h`;
  return `${Math.round(seconds / 86_400)} days`;
}

function earlyDelete(what: "IKE SA" | "Child SA", name: string, ageMs: number, rekeyMs: number): Failure {
  const which = what === "IKE SA" ? "the IKE SA" : `the Child SA "${name}"`;
  return {
    code: "SA_LIFETIME_MISMATCH",
    sentence: `The peer deleted ${which} after ${spokenDuration(ageMs)} without rekeying it; this side rekeys after ${spokenDuration(rekeyMs)}: the peer was told to, closes what carries nothing, or its lifetime is shorter.`,
    facts: { cause: "lifetime", what, name, ageMs, rekeyMs },
  };
}
