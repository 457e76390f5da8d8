import type { IkeSaSnapshot } from "../ike/endpoint-types.ts";
import { childrenOf } from "../ike/ike-sa.ts";
import type { Pair, Side } from "./pair.ts";

/** Long enough for every retry and for a side to clear up what the other has forgotten to. */
export const SETTLE_MS = 400_000;
/** After everything has settled: how long it is watched, and the most that may happen in that time. */
const WATCH_MS = 25_000;
const MOST_TIMERS = 12;
/** Two liveness checks of each side and their answers, each sent again once because the line is slow. */
const MOST_PACKETS = 16;
/** A rekey that is due sooner than this has been put off and is still to come. */
const RETRY_MS = 90_000;

/**
 * Runs a pair until neither side has anything left to do, and lists everything that is then not as it should be: SAs that the
 * other does not have, a configured child without an SA or with two, SAs left over in a data plane, an exchange under way, packets
 * or timers without end. `up`: one IKE SA with one Child SA for each child; `none`: nothing at all; `either`: one of the two.
 */
export function settlementFaults(pair: Pair, wish: "up" | "none" | "either" = "up"): string[] {
  const isSettled = () => isQuiet(pair) && stateFaults(pair, wish).length === 0;
  if (!pair.runUntil(isSettled, SETTLE_MS)) {
    const busy = [pair.a, pair.b].flatMap((side) => unfinished(side, pair.clock.now()));
    return [...stateFaults(pair, wish), ...busy];
  }
  const timers = pair.timersFired;
  const sent = pair.link.sent.length;
  const before = picture(pair);
  pair.run(WATCH_MS);
  const faults = stateFaults(pair, wish);
  if (picture(pair) !== before) faults.push(`SAs went on changing: ${before} became ${picture(pair)}`);
  if (pair.timersFired - timers > MOST_TIMERS) faults.push(`${pair.timersFired - timers} timers went off in ${WATCH_MS} ms of quiet`);
  if (pair.link.sent.length - sent > MOST_PACKETS) faults.push(`${pair.link.sent.length - sent} packets in ${WATCH_MS} ms of quiet`);
  return faults;
}

/** No request outstanding or waiting, no SA that waits for its end. */
export function isQuiet(pair: Pair): boolean {
  return pair.link.nextArrival() === null && [pair.a, pair.b].every((side) => unfinished(side, pair.clock.now()).length === 0);
}

function unfinished(side: Side, now: number): string[] {
  const faults: string[] = [];
  const isSoon = (at: number | null) => at !== null && at < now + RETRY_MS;
  // The reauthentication that was asked for waits for the link's next attempt.
  for (const link of side.engine.links.values())
    if (link.replaceWantedAt !== null) faults.push(`${side.name}: the IKE SA of ${link.config.id} is to be replaced`);
  if (side.engine.graves.size > 0) faults.push(`${side.name}: old inbound SAs wait for their end`);
  for (const sa of side.engine.ikeSas.values()) {
    const { outstanding, queue } = sa.window;
    if (outstanding !== null) faults.push(`${side.name}: ${sa.id} waits for the answer to ${outstanding.task.kind}`);
    if (queue.length > 0) faults.push(`${side.name}: ${sa.id} has ${queue.map((task) => task.kind).join(", ")} in its queue`);
    const children = [...childrenOf(sa).values()];
    if (children.some((child) => isSoon(child.rekeyAt))) faults.push(`${side.name}: a Child SA of ${sa.id} is about to be rekeyed`);
    if (sa.phase.kind === "established" && isSoon(sa.phase.rekeyAt)) faults.push(`${side.name}: ${sa.id} is about to be rekeyed`);
    if (sa.phase.kind !== "established") faults.push(`${side.name}: ${sa.id} is ${sa.phase.kind}`);
    else if (sa.phase.abandonAt !== null) faults.push(`${side.name}: ${sa.id} waits to be abandoned`);
  }
  return faults;
}

function stateFaults(pair: Pair, wish: "up" | "none" | "either"): string[] {
  const faults = [...pair.a.bookkeeping, ...pair.b.bookkeeping];
  const isEmpty = [pair.a, pair.b].every((side) => side.engine.ikeSas.size === 0);
  if (wish === "none" || (wish === "either" && isEmpty)) {
    for (const side of [pair.a, pair.b]) {
      if (side.engine.ikeSas.size > 0) faults.push(`${side.name} still has ${side.engine.ikeSas.size} IKE SAs`);
      if (side.inbound.size + side.outbound.size > 0) faults.push(`${side.name}'s data plane still has SAs`);
    }
    return faults;
  }
  const [a, b] = [pair.a.link(), pair.b.link()];
  if (a.state !== "up" || b.state !== "up") faults.push(`the link is ${a.state} at a and ${b.state} at b`);
  const [saA, saB] = [a.ikeSas[0], b.ikeSas[0]];
  if (a.ikeSas.length !== 1 || b.ikeSas.length !== 1 || saA === undefined || saB === undefined) {
    return [...faults, `${a.ikeSas.length} IKE SAs at a and ${b.ikeSas.length} at b`];
  }
  const most = 1 + Math.min(...[pair.a, pair.b].map((side) => side.engine.links.get("link")?.config.perResourceSas ?? 0));
  return [...faults, ...differences(saA, saB), ...sideFaults(pair.a, saA, most), ...sideFaults(pair.b, saB, most)];
}

function differences(a: IkeSaSnapshot, b: IkeSaSnapshot): string[] {
  if (a.spiI !== b.spiI || a.spiR !== b.spiR) return ["the two have different IKE SAs"];
  if (a.role === b.role) return [`both are ${a.role} of the IKE SA`];
  const ofA = a.children.map((child) => `${child.inboundSpi}/${child.outboundSpi}`).sort();
  const ofB = b.children.map((child) => `${child.outboundSpi}/${child.inboundSpi}`).sort();
  return ofA.join() === ofB.join() ? [] : [`Child SAs ${ofA.join(", ")} at a and ${ofB.join(", ")} at b`];
}

/** One Child SA for each configured child, or `each` where there are those of workers, the policy on it, and nothing else in the plane. */
function sideFaults(side: Side, sa: IkeSaSnapshot, each: number): string[] {
  const faults: string[] = [];
  const config = side.engine.links.get("link")?.config;
  for (const { name } of config?.children ?? []) {
    const own = sa.children.filter((child) => child.name === name);
    if (own.length !== each) {
      faults.push(`${side.name} has ${own.length} Child SAs of ${name}`);
      continue;
    }
    for (const child of own) {
      if (child.state !== "established") faults.push(`${side.name}'s ${name} is ${child.state}`);
      if (!side.inbound.has(child.inboundSpi) || !side.outbound.has(child.outboundSpi)) faults.push(`${side.name}'s plane lacks an SA of ${name}`);
    }
    const spis = own.map((child) => child.outboundSpi);
    const action = side.policies.get(`link/${name}`)?.action;
    const used = action?.kind === "protect" ? [action.spi, ...(action.workerSpis ?? [])].filter((spi) => spi !== null) : [];
    if (used.length === 0 || used.some((spi) => !spis.includes(spi)) || new Set(used).size < used.length)
      faults.push(`${side.name}'s policy of ${name} is on ${used.join() || "nothing"} and not on its Child SA${each === 1 ? "" : "s"}`);
  }
  if (side.inbound.size !== sa.children.length || side.outbound.size !== sa.children.length) {
    faults.push(`${side.name}'s plane has ${side.inbound.size} inbound and ${side.outbound.size} outbound SAs for ${sa.children.length} Child SAs`);
  }
  return faults;
}

function picture(pair: Pair): string {
  return [pair.a, pair.b]
    .map(
      (side) =>
        `${side.name}: ${[...side.engine.ikeSas.values()].map((sa) => sa.id).join()} ${[...side.inbound.keys()].join()} ${[...side.outbound.keys()].join()}`,
    )
    .join("; ");
}
