import { type TracedEnd, verdictOfTraces } from "../../agent/preflight/console-verdict.ts";
import type { Gateway } from "../../generated/prisma/client.ts";
import { type Actor, authorize } from "../auth/actor.ts";
import { database } from "../db/client.ts";
import { NotFound } from "../errors.ts";
import { gatewayState } from "../sites/gateway-state.ts";
import { linkConfig } from "./link-config.ts";

export interface LinkExplanation {
  /** The protocol's name for it. */
  readonly code: string;
  /** Names both sites and what to change. */
  readonly sentence: string;
  /** The link has come up since. */
  readonly isOver: boolean;
}

/** The newest steps of each end that are looked at: some handshakes. */
const STEPS_PER_END = 200;

/**
 * Why a link does not work, in one sentence from the traces of both its gateways, or of the only one that is ours; null: nothing
 * went wrong as far as the traces go back. `isOver`: it has come up since.
 */
export async function explainLink(actor: Actor, linkId: string): Promise<LinkExplanation | null> {
  authorize(actor, "read");
  const link = await database().link.findUnique({
    where: { id: linkId },
    include: { siteA: { include: { gateway: true } }, siteB: { include: { gateway: true } } },
  });
  if (link === null) throw new NotFound("There is no such link.");
  const { peer } = linkConfig.parse(link.config);
  const peerName = link.siteB?.name ?? (peer.kind === "third-party" ? peer.name : "the peer");
  const [a, b] = await Promise.all([tracedEnd(linkId, link.siteA.name, link.siteA.gateway), tracedEnd(linkId, peerName, link.siteB?.gateway ?? null)]);
  return verdictOfTraces(a, b);
}

/** What a gateway that is not connected has seen meanwhile is not known, and what a third party has seen never is. */
async function tracedEnd(linkId: string, name: string, gateway: Gateway | null): Promise<TracedEnd> {
  if (gateway === null) return { name, trace: null };
  const rows = await database().traceEntry.findMany({
    where: { linkId, gatewayId: gateway.id },
    orderBy: [{ at: "desc" }, { id: "desc" }],
    take: STEPS_PER_END,
  });
  if (rows.length === 0 && gatewayState(gateway, Date.now()) !== "connected") return { name, trace: null };
  return {
    name,
    trace: rows.toReversed().map((row) => ({
      at: row.at.getTime(),
      direction: row.direction,
      exchange: row.exchange,
      messageId: row.messageId === null ? null : Number(row.messageId),
      summary: row.summary,
      detail: typeof row.detail === "object" && row.detail !== null && !Array.isArray(row.detail) ? row.detail : {},
    })),
  };
}
