import { nameOf, NotifyType } from "../wire/iana.ts";
import type { ChildSa } from "./child-sa.ts";
import { hasChildTask } from "./child-upkeep.ts";
import type { Instant } from "./endpoint-types.ts";
import type { EstablishedPhase, FurtherLimit, IkeSa, Link, Notify } from "./ike-sa.ts";
import { hex32, traceChoice } from "./trace.ts";
import { perResourceSas, sharedChildren } from "./traffic-policy.ts";
import type { Turn } from "./turn.ts";
import { compareNonces } from "./v2/exchange-values.ts";
import { temporaryRetryAt } from "./v2/retry.ts";

/*
 * Several Child SAs of the same selectors, one for each worker of the data plane beside one for all of them (RFC 9611). Both ends say with
 * SA_RESOURCE_INFO, when they make the first, that they take further ones. The end that began the IKE SA makes them, one after the other, until it
 * has as many as it has workers for or the peer takes no more; either end may delete any of them.
 */

/** Brings those of an IKE SA to the number that this end has room for. `sa`: the one in use that was authenticated last. */
export function upkeepFurther(link: Link, sa: IkeSa, phase: EstablishedPhase): void {
  for (const { name } of link.config.children) {
    if (phase.begunAs === "initiator" && link.wanted !== "down" && !hasChildTask(sa) && lacksFurther(link, phase, name))
      sa.window.queue.push({ kind: "createChild", childName: name });
  }
}

/** More than this end has room for, because both ends made some at once or the configuration has changed: those of the lowest nonces go. */
export function closeSurplus(turn: Turn, link: Link, sa: IkeSa, phase: EstablishedPhase): void {
  for (const name of new Set([...phase.children.values()].filter((child) => child.isShared).map((child) => child.name))) {
    const goes = (child: ChildSa) => sa.window.queue.some((task) => task.kind === "deleteChild" && task.childSaId === child.id);
    const stay = sharedChildren(phase, name).filter((child) => !goes(child));
    const surplus = stay.length - 1 - perResourceSas(link);
    if (surplus <= 0) continue;
    for (const child of stay.toSorted((a, b) => compareNonces(a.lowestNonce, b.lowestNonce)).slice(0, surplus)) {
      traceChoice(
        turn,
        link.config.id,
        "CHILD_SA",
        `There are more Child SAs of "${name}" than this side has workers for: ${hex32(child.inbound.spi)} (in) is closed.`,
      );
      sa.window.queue.push({ kind: "deleteChild", childSaId: child.id });
    }
  }
}

/** The peer is not asked for further ones of this child before then. */
export function pauseFurther(link: Link, childName: string, until: Instant): void {
  limit(link, childName, { most: link.furtherLimits?.get(childName)?.most ?? Number.POSITIVE_INFINITY, pausedUntil: until });
}

/** What was to be waited for is over. */
export function resumeFurther(link: Link, now: Instant): void {
  for (const [name, { most, pausedUntil }] of link.furtherLimits ?? []) {
    if (pausedUntil === null || pausedUntil > now) continue;
    if (Number.isFinite(most)) limit(link, name, { most, pausedUntil: null });
    else link.furtherLimits?.delete(name);
  }
  if (link.furtherLimits?.size === 0) link.furtherLimits = null;
}

export function furtherTimer({ furtherLimits }: Link): Instant | null {
  let earliest: Instant | null = null;
  for (const { pausedUntil } of furtherLimits?.values() ?? [])
    if (pausedUntil !== null && (earliest === null || pausedUntil < earliest)) earliest = pausedUntil;
  return earliest;
}

/** The peer has refused one beside `count`: what there is goes on alone, and that is no failure (RFC 9611). */
export function onFurtherRefused(turn: Turn, link: Link, childName: string, count: number, error: Pick<Notify, "type">): void {
  if (error.type === NotifyType.TEMPORARY_FAILURE || error.type === NotifyType.STATE_NOT_FOUND) return pauseFurther(link, childName, temporaryRetryAt(turn));
  endFurther(turn, link, childName, count, nameOf(NotifyType, error.type));
}

/**
 * Until the IKE SA is authenticated anew the peer is asked for one only in the place of another. `count`: of those there when it was asked; its
 * answer may be late, and one of them gone since.
 */
export function endFurther(turn: Turn, link: Link, childName: string, count: number, answer: string): void {
  traceChoice(turn, link.config.id, "CREATE_CHILD_SA", `${count} Child SA${count === 1 ? "" : "s"} of "${childName}", the peer takes no more (${answer}).`);
  limit(link, childName, { most: count, pausedUntil: null });
}

/** Whether the peer is to be asked for one more now. */
export function lacksFurther(link: Link, phase: EstablishedPhase, name: string): boolean {
  const count = sharedChildren(phase, name).length;
  const { most, pausedUntil } = link.furtherLimits?.get(name) ?? { most: Number.POSITIVE_INFINITY, pausedUntil: null };
  return count > 0 && count < Math.min(1 + perResourceSas(link), most) && pausedUntil === null;
}

function limit(link: Link, childName: string, value: FurtherLimit): void {
  link.furtherLimits ??= new Map();
  link.furtherLimits.set(childName, value);
}
