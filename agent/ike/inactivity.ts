import { type ChildSa, liveChildren } from "./child-sa.ts";
import { noteUse } from "./child-use.ts";
import type { Instant } from "./endpoint-types.ts";
import { type EstablishedPhase, establishedPhase, type IkeSa, type Link } from "./ike-sa.ts";
import { closeWithPeer } from "./link.ts";
import { traceChoice } from "./trace.ts";
import { ikeSasOf, type Turn } from "./turn.ts";

/*
 * A link that waits closes what carries nothing: each Child SA after a time without a packet either way, the IKE SA with its last one. What was
 * closed rests: it is not made again before a packet, the peer or a command wants it.
 */

/** How often is looked within that time: a Child SA is closed late by one part of it at most. */
const LOOKS = 4;

/** When the Child SAs of this name are closed unless a packet passes; null: never. */
export function closesAt({ config, idleSince }: Link, childName: string): Instant | null {
  const since = idleSince.get(childName);
  return since === undefined ? null : since + (config.inactivityMs ?? 0);
}

/** Begins to watch the Child SAs that are there, ends it for those that are not. After every change of the link. */
export function watchActivity(turn: Turn, link: Link): void {
  const { config, idleSince } = link;
  const isWatched = config.inactivityMs !== undefined && link.wanted === "respond";
  for (const name of new Set([...idleSince.keys(), ...config.children.map((child) => child.name)])) {
    if (!isWatched || liveChildren(turn, config.id, name).length === 0) idleSince.delete(name);
    else if (!idleSince.has(name)) idleSince.set(name, turn.now);
  }
  if (idleSince.size === 0) link.lookAt = null;
  else link.lookAt ??= turn.now + lookInterval(link);
}

/** Closes the Child SAs through which nothing has passed for the time. That a Child SA is rekeyed meanwhile changes nothing. */
export function closeInactive(turn: Turn, link: Link): void {
  link.lookAt = null;
  for (const [name, since] of link.idleSince) {
    const live = liveChildren(turn, link.config.id, name);
    const used = live.map(({ child }) => noteUse(turn, link, child));
    if (used.includes(true) || turn.now - since < (link.config.inactivityMs ?? 0)) continue;
    const seconds = Math.round((turn.now - since) / 1_000);
    traceChoice(turn, link.config.id, "INACTIVITY", `No packet has passed through "${name}" for ${seconds} s: it is closed until it is needed.`);
    noteClosed(link, name);
    for (const { sa, child } of live) sa.window.queue.push({ kind: "deleteChild", childSaId: child.id });
  }
  for (const sa of ikeSasOf(turn, link.config.id)) if (goesWithItsChildren(sa)) closeWithPeer(turn, sa);
}

/** A Child SA of a link that waits was closed, by either end; not when a new IKE SA, which is to carry all that the old one does, is being made. */
export function noteClosed(link: Link, childName: string): void {
  const waits = link.config.initiate === "onDemand" || link.config.inactivityMs !== undefined;
  if (waits && link.wanted === "respond" && link.replaceWantedAt === null) link.resting.add(childName);
}

/** Nobody needs an IKE SA whose Child SAs all rest; one that is to replace another has none yet. */
export function closeEmptied(turn: Turn, link: Link, sa: IkeSa, phase: EstablishedPhase): void {
  const { outstanding, queue } = sa.window;
  if (link.resting.size > 0 && sa.replaces === null && phase.children.size === 0 && outstanding === null && queue.length === 0) closeWithPeer(turn, sa);
}

function goesWithItsChildren(sa: IkeSa): boolean {
  const children = [...(establishedPhase(sa)?.children.values() ?? [])];
  const goes = (child: ChildSa): boolean => sa.window.queue.some((task) => task.kind === "deleteChild" && task.childSaId === child.id);
  return children.some(goes) && children.every((child) => child.state.kind !== "established" || goes(child));
}

function lookInterval({ config }: Link): number {
  return Math.ceil((config.inactivityMs ?? 0) / LOOKS);
}
