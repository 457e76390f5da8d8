import type { ChildSa } from "./child-sa.ts";
import type { Link } from "./ike-sa.ts";
import type { Turn } from "./turn.ts";

/**
 * Whether packets have passed through a Child SA since it was asked last; then its name is not idle from now on. To be asked before its
 * counters are gone as well.
 */
export function noteUse(turn: Turn, link: Link, child: ChildSa): boolean {
  const { traffic } = turn.engine.options;
  if (!link.idleSince.has(child.name) || traffic === undefined) return false;
  const packets = traffic.packets(child.inbound.spi, child.outboundSpi);
  const isUsed = packets > child.packetsSeen;
  child.packetsSeen = packets;
  if (isUsed) link.idleSince.set(child.name, turn.now);
  return isUsed;
}
