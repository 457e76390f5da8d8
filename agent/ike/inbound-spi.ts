import { inboundWorkerOf } from "../ipsec/inbound-share.ts";
import type { EspSpi } from "../wire/ikev2/message-types.ts";
import { readU32 } from "../wire/octets.ts";
import type { ChildSa } from "./child-sa.ts";
import { establishedPhase, type IkeSa, type Link } from "./ike-sa.ts";
import { sharedChildren } from "./traffic-policy.ts";
import type { Turn } from "./turn.ts";

/**
 * A random inbound SPI above 255 (RFC 4303 §2.1 reserves the rest) that no SA of ours has, for a Child SA of this name. With several inbound workers it
 * says which of them has the SA: that of the one that it replaces, so that packets stay in order, else the one that has the fewest of those of the same
 * selectors, else any.
 */
export function newInboundSpi(turn: Turn, link: Link, sa: IkeSa, childName: string, replaces: ChildSa | null): EspSpi {
  const { random, children, options } = turn.engine;
  const { inboundWorkers: workers = 1 } = options;
  const worker = workers === 1 ? 0 : workerFor(workers, link, sa, childName, replaces);
  for (;;) {
    const drawn = readU32(random.bytes(4), 0) as EspSpi;
    const spi = worker === null ? drawn : ((drawn - inboundWorkerOf(drawn, workers) + worker) as EspSpi);
    if (spi > 255 && spi < 2 ** 32 && !children.isTaken(spi)) return spi;
  }
}

function workerFor(workers: number, link: Link, sa: IkeSa, childName: string, replaces: ChildSa | null): number | null {
  if (replaces !== null) return inboundWorkerOf(replaces.inbound.spi, workers);
  const phase = establishedPhase(sa);
  const beside = phase === null ? [] : sharedChildren(phase, childName);
  if (beside.length === 0) return null;
  const forAll = link.policies.get(childName)?.childSaId;
  const loads = Array.from({ length: workers }, () => 0);
  // A peer that has one for each of its workers sends little on the one for all.
  for (const child of beside) loads[inboundWorkerOf(child.inbound.spi, workers)]! += child.id === forAll ? 0.5 : 1;
  return loads.indexOf(Math.min(...loads));
}
