import type { IkeSa } from "./ike-sa.ts";
import type { Candidates } from "./link-index.ts";
import type { Turn } from "./turn.ts";

/** Links that a peer at `remote` may mean when it talks to `local`. They are not touched: which of them it is, IKE_AUTH says. */
export function linksBetween(turn: Turn, local: string, remote: string): Candidates {
  return turn.engine.links.between(local, remote);
}

/** Whose trace a message belongs to: until IKE_AUTH has said who the peer is, that of the only link it can be; null: unknown. */
export function tracedLinkId(turn: Turn, sa: IkeSa): string | null {
  if (sa.linkId !== null || sa.local === null) return sa.linkId;
  return linksBetween(turn, sa.local.address, sa.remote.address).only?.config.id ?? null;
}
