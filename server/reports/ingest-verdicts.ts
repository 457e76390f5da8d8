import type { LinkVerdict } from "../../contract/hub-protocol.ts";
import { announce } from "../db/changes.ts";
import { database } from "../db/client.ts";

/** Writes down what a gateway answered to a revision, link by link. */
export async function ingestVerdicts(gatewayId: string, revision: number, verdicts: readonly LinkVerdict[]): Promise<void> {
  await database().$transaction(async (tx) => {
    await tx.gateway.updateMany({ where: { id: gatewayId, appliedRevision: { lt: revision } }, data: { appliedRevision: revision } });
    for (const verdict of verdicts) {
      // A link deleted meanwhile has no row any more; the next revision will say so to the gateway.
      await tx.linkState.updateMany({
        where: { linkId: verdict.linkId, gatewayId, verdictRevision: { lte: revision } },
        data: { verdictRevision: revision, verdict: verdict.outcome, verdictReason: verdict.reason, verdictAt: new Date() },
      });
    }
    await announce(tx, { resource: "gateway", id: gatewayId }, ...verdicts.map(({ linkId }) => ({ resource: "link", id: linkId }) as const));
  });
}
