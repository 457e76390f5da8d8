import type { IkeSa, Link } from "./ike-sa.ts";
import type { Turn } from "./turn.ts";

/** Links that a peer at `remote` may mean when it talks to `local`, those that name its address first. */
export function linksBetween(turn: Turn, local: string, remote: string): Link[] {
  const fits = [...turn.engine.links.values()].filter(
    ({ config, wanted }) =>
      wanted !== "down" &&
      (config.localAddress === null || config.localAddress === local) &&
      (config.remoteAddresses.length === 0 || config.remoteAddresses.includes(remote)),
  );
  return fits.sort((a, b) => Number(b.config.remoteAddresses.length > 0) - Number(a.config.remoteAddresses.length > 0));
}

/** Whose trace a message belongs to: until IKE_AUTH has said who the peer is, that of the only link it can be; null: unknown. */
export function tracedLinkId(turn: Turn, sa: IkeSa): string | null {
  if (sa.linkId !== null || sa.local === null) return sa.linkId;
  const [only, another] = linksBetween(turn, sa.local.address, sa.remote.address);
  return only === undefined || another !== undefined ? null : only.config.id;
}
