import type { Command, ProbeResult } from "../../contract/hub-protocol.ts";
import { recordEvent } from "../audit/record-event.ts";
import { type Actor, authorize } from "../auth/actor.ts";
import { database } from "../db/client.ts";
import { Conflict, NotFound } from "../errors.ts";
import { gatewayState } from "../sites/gateway-state.ts";
import { performGatewayCommand } from "./gateway-command.ts";

/** Which commands a person may give from a page. Commands of the rotation are the hub's own. */
export type LinkCommand = Extract<Command, { name: "rekey" | "restart" | "probe" }>;

const verbs = { rekey: "rekeyed", restart: "restarted", probe: "tested" } as const;

/**
 * Has one of a link's gateways do something and waits for its answer: the one at its first end, or the other when only that is connected.
 * Throws Conflict with the reason when none is connected, when it refuses, and after `timeoutMilliseconds`.
 */
export async function runLinkCommand(
  actor: Actor,
  command: LinkCommand,
  timeoutMilliseconds = 20_000,
): Promise<{ message: string; probe: ProbeResult | null }> {
  authorize(actor, "operate");
  const link = await database().link.findUnique({
    where: { id: command.linkId },
    include: { siteA: { include: { gateway: true } }, siteB: { include: { gateway: true } } },
  });
  if (link === null) throw new NotFound("There is no such link.");
  if (!link.enabled) throw new Conflict("The link is disabled. Enable it first.");
  const gateways = [link.siteA.gateway, link.siteB?.gateway ?? null].filter((gateway) => gateway !== null);
  const gateway = gateways.find((each) => gatewayState(each, Date.now()) === "connected");
  if (gateway === undefined) throw new Conflict("No gateway of this link is connected to the console, so that nobody can be told.");
  const outcome = await performGatewayCommand({ gatewayId: gateway.id, linkId: link.id, command, requestedBy: actor.name, timeoutMilliseconds });
  if (!outcome.ok) throw new Conflict(outcome.message || "The gateway could not do it and gave no reason.");
  await database().$transaction((tx) =>
    recordEvent(tx, {
      resource: "link",
      resourceId: link.id,
      resourceName: link.name,
      verb: verbs[command.name],
      actorId: actor.userId,
      actorName: actor.name,
      summary: `Link ${link.name} was ${verbs[command.name]}`,
    }),
  );
  return { message: outcome.message || "Done.", probe: outcome.probe };
}
