import { desiredState, type DesiredState } from "../../contract/desired-state.ts";
import type { Transaction } from "../db/client.ts";
import { linkConfig } from "../links/link-config.ts";
import { authenticationOf } from "./authentication.ts";
import { type DesiredLinkInput, desiredLink } from "./desired-link.ts";

export interface CompiledState {
  readonly state: DesiredState;
  /** Links that cannot be told to the gateway, each with the reason: the others are not held up by them. */
  readonly refused: readonly { readonly linkId: string; readonly reason: string }[];
}

/**
 * The whole of what a gateway is told, with secrets in clear: for its own connection alone. The revision is read first, so that a
 * change which commits meanwhile bumps it again and is pushed after.
 */
export async function compileDesiredState(tx: Transaction, gatewayId: string): Promise<CompiledState> {
  const gateway = await tx.gateway.findUniqueOrThrow({ where: { id: gatewayId }, include: { site: true } });
  const links = await tx.link.findMany({
    where: { OR: [{ siteAId: gateway.siteId }, { siteBId: gateway.siteId }] },
    include: { siteA: true, siteB: true },
    orderBy: { createdAt: "asc" },
  });
  const compiled: DesiredLinkInput[] = [];
  const refused: { linkId: string; reason: string }[] = [];
  for (const link of links) {
    const end = link.siteAId === gateway.siteId ? "A" : "B";
    try {
      compiled.push(
        desiredLink({
          linkId: link.id,
          config: linkConfig.parse(link.config),
          end,
          addressA: link.siteA.address,
          addressB: link.siteB?.address ?? null,
          authentication: await authenticationOf(tx, link.id, end),
        }),
      );
    } catch (error) {
      refused.push({ linkId: link.id, reason: error instanceof Error ? error.message : String(error) });
    }
  }
  const state = desiredState.parse({
    schema: 1,
    revision: gateway.desiredRevision,
    gateway: {
      name: gateway.site.name,
      ikePort: gateway.ikePort,
      natPort: gateway.natPort,
      tunName: gateway.tunName,
      tunMtu: gateway.tunMtu,
    },
    links: compiled,
  });
  return { state, refused };
}
