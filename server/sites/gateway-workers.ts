import { z } from "zod";
import { recordEvent } from "../audit/record-event.ts";
import { type Actor, authorize } from "../auth/actor.ts";
import { announce } from "../db/changes.ts";
import { database } from "../db/client.ts";
import { lockConfiguration } from "../db/configuration-lock.ts";
import { Conflict, NotFound } from "../errors.ts";
import { parseInput } from "../parse-input.ts";
import { touchGateways } from "../publishing/touch.ts";

/** The most that a gateway takes (contract/desired-state.ts). */
const mostWorkers = 16;
const problem = `A whole number from 1 to ${mostWorkers}.`;
const workers = z.number({ error: problem }).int(problem).min(1, problem).max(mostWorkers, problem);
const workersForm = z.strictObject({ outbound: workers, inbound: workers });

/**
 * How many threads of a site's gateway seal what goes out and open what comes in. A gateway that is connected opens its data plane anew at once: its
 * tunnels are negotiated again. Throws Invalid at the field, Conflict for an agent that knows no workers.
 */
export async function setGatewayWorkers(actor: Actor, siteId: string, input: unknown): Promise<void> {
  authorize(actor, "edit");
  const after = parseInput(workersForm, input);
  await database().$transaction(async (tx) => {
    await lockConfiguration(tx);
    const site = await tx.site.findUnique({ where: { id: siteId }, include: { gateway: true } });
    if (site?.gateway == null) throw new NotFound("There is no such site.");
    const { gateway } = site;
    const before = { outbound: gateway.outboundWorkers, inbound: gateway.inboundWorkers };
    if (before.outbound === after.outbound && before.inbound === after.inbound) return;
    // It would refuse the whole of what it is told, every link with it.
    if (gateway.startedAt !== null && gateway.processors === null && Math.max(after.outbound, after.inbound) > 1)
      throw new Conflict(`The agent of ${site.name} (${gateway.agentVersion ?? "of an unknown version"}) is too old for more than one core. Update it first.`);
    await tx.gateway.update({ where: { id: gateway.id }, data: { outboundWorkers: after.outbound, inboundWorkers: after.inbound } });
    await recordEvent(tx, {
      resource: "gateway",
      resourceId: gateway.id,
      resourceName: site.name,
      verb: "changed",
      actorId: actor.userId,
      actorName: actor.name,
      summary: `The gateway of ${site.name} was given ${coresOf(after)}`,
      before,
      after,
    });
    await touchGateways(tx, [gateway.id], []);
    await announce(tx, { resource: "site", id: siteId });
  });
}

function coresOf({ outbound, inbound }: { outbound: number; inbound: number }): string {
  const counted = (count: number) => `${count} processor ${count === 1 ? "core" : "cores"}`;
  return outbound === inbound ? `${counted(outbound)} for traffic` : `${counted(outbound)} to send and ${counted(inbound)} to receive`;
}
