import { reschedule, settle } from "../ike/settle.ts";
import { earliestTimer, ikeSaTimer, linkTimer } from "../ike/timers.ts";
import { type EngineState, newTurn, type Turn } from "../ike/turn.ts";

/**
 * Settles every link and IKE SA after a turn, as if each had been touched, and says what that has changed: nothing must be left to do
 * for what the turn had not touched, and no timer of it be other than what its state says. `now`: of the turn.
 */
export function leftUndone(engine: EngineState, now: number): string[] {
  const faults: string[] = [];
  const before = earliestTimer(engine);
  const timers = (): (number | undefined)[] => [
    ...[...engine.links.values()].map((link) => linkTimer(link)?.at),
    ...[...engine.ikeSas.values()].map((sa) => ikeSaTimer(engine, sa)?.at),
  ];
  const earliest = Math.min(...timers().filter((at) => at !== undefined), ...[...engine.graves].map((grave) => grave.at));
  if (earliest !== (before?.at ?? Number.POSITIVE_INFINITY)) faults.push(`the next timer is ${before?.at} (${before?.reason}) and should be ${earliest}`);
  const was = timers().join();
  const turn = newTurn(engine, now);
  touchAll(turn);
  settle(turn);
  reschedule(turn);
  for (const effect of turn.effects) faults.push(`was left to do: ${effect.kind} ${effect.kind === "trace" ? effect.entry.read().summary : ""}`);
  if (timers().join() !== was) faults.push(`timers were ${was} and are ${timers().join()}`);
  return faults;
}

function touchAll({ engine, touched }: Turn): void {
  for (const link of engine.links.values()) touched.links.add(link);
  for (const sa of engine.ikeSas.values()) touched.ikeSas.add(sa);
}
