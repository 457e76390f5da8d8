import { announce } from "../db/changes.ts";
import type { Transaction } from "../db/client.ts";

/**
 * Says, in the transaction of a change, that these gateways must be told anew and that `linkIds` are what changed for them. The
 * revision is bumped once a gateway; hubs hear of it when the transaction commits.
 */
export async function touchGateways(tx: Transaction, gatewayIds: readonly string[], linkIds: readonly string[]): Promise<void> {
  await touchEach(tx, new Map(gatewayIds.map((id) => [id, linkIds])));
  await announce(tx, ...linkIds.map((id) => ({ resource: "link", id }) as const));
}

/** The same for a change of several links, whose gateways each have some of them, and for gateways that `besides` must be told anew. */
export async function touchLinks(
  tx: Transaction,
  links: readonly { readonly id: string; readonly siteAId: string; readonly siteBId: string | null }[],
  besides: readonly string[] = [],
): Promise<void> {
  const concerned = new Map<string, string[]>(besides.map((id) => [id, []]));
  for (const link of links) for (const gatewayId of await gatewaysOfLink(tx, link)) concerned.set(gatewayId, [...(concerned.get(gatewayId) ?? []), link.id]);
  await touchEach(tx, concerned);
  await announce(tx, ...links.map(({ id }) => ({ resource: "link", id }) as const));
}

async function touchEach(tx: Transaction, concerned: ReadonlyMap<string, readonly string[]>): Promise<void> {
  // In one order always, so that two saves at once wait for each other instead of dead-locking.
  for (const [gatewayId, linkIds] of [...concerned].toSorted(([one], [other]) => (one < other ? -1 : 1))) {
    const { desiredRevision } = await tx.gateway.update({
      where: { id: gatewayId },
      data: { desiredRevision: { increment: 1 } },
      select: { desiredRevision: true },
    });
    for (const linkId of linkIds) {
      await tx.linkState.upsert({
        where: { linkId_gatewayId: { linkId, gatewayId } },
        create: { linkId, gatewayId, requiredRevision: desiredRevision },
        update: { requiredRevision: desiredRevision },
      });
    }
    await announce(tx, { resource: "gateway", id: gatewayId });
  }
}

/** The gateways at a link's ends: one or two. */
export async function gatewaysOfLink(tx: Transaction, link: { siteAId: string; siteBId: string | null }): Promise<string[]> {
  const siteIds = [link.siteAId, link.siteBId].filter((id) => id !== null);
  const gateways = await tx.gateway.findMany({ where: { siteId: { in: siteIds } }, select: { id: true } });
  return gateways.map((gateway) => gateway.id);
}
