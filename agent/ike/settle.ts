import type { IkeSa } from "./ike-sa.ts";
import { upkeepLink } from "./link-upkeep.ts";
import type { Path } from "./path-index.ts";
import { forgetEndedRekey } from "./rekey-pace.ts";
import { startNextRequest } from "./requests.ts";
import { ikeSaTimer, linkTimer } from "./timers.ts";
import type { Turn } from "./turn.ts";
import { canProbe } from "./v2/path-probe.ts";

/*
 * The end of every turn. What follows from a link's state is a function of that link and its IKE SAs alone, not of the time nor of any
 * other link, so only what the turn has touched can have anything to do: agent/testing/untouched.ts checks that of the others, after every turn of the tests.
 */

/** Links first, for they queue requests; then the requests whose turn it is; then the links again if a request has changed them. */
export function settle(turn: Turn): void {
  for (let hasBegun = true; hasBegun; ) {
    // A set hands out what is added to it meanwhile: what is touched here is settled here.
    for (const link of turn.touched.links) if (isPresent(turn, link.config.id, link)) upkeepLink(turn, link);
    hasBegun = false;
    for (const sa of touchedIkeSas(turn)) if (startNextRequest(turn, sa)) hasBegun = true;
  }
}

/** Sets the timers of all that the turn has touched. */
export function reschedule(turn: Turn): void {
  const { engine, touched } = turn;
  for (const link of touched.links) engine.timers.links.set(link, isPresent(turn, link.config.id, link) ? linkTimer(link) : null);
  for (const sa of touchedIkeSas(turn)) forgetEndedRekey(turn, sa);
  settlePaths(turn);
  for (const sa of touched.ikeSas) engine.timers.ikeSas.set(sa, isKnown(turn, sa) ? ikeSaTimer(engine, sa) : null);
}

/** Who searches a path instead of another is touched: it has something to do. */
function settlePaths(turn: Turn): void {
  const { engine, touched, now } = turn;
  const left = new Set<Path>();
  for (const sa of touched.ikeSas) {
    const before = sa.path;
    const prober = engine.paths.settle(sa, isKnown(turn, sa), (one) => canProbe(engine, one), now);
    if (prober !== null) touched.ikeSas.add(prober);
    if (before !== null && before !== sa.path) left.add(before);
  }
  for (const path of left) engine.paths.forgetUnused(path);
}

function isKnown({ engine }: Turn, sa: IkeSa): boolean {
  return engine.ikeSas.byId(sa.id) === sa;
}

function touchedIkeSas({ engine, touched }: Turn): ReadonlySet<IkeSa> {
  for (const link of touched.links) for (const sa of engine.ikeSas.ofLink(link.config.id)) touched.ikeSas.add(sa);
  return touched.ikeSas;
}

function isPresent({ engine }: Turn, linkId: string, link: unknown): boolean {
  return engine.links.get(linkId) === link;
}
