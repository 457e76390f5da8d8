import type { Command, ProbeResult } from "../../contract/hub-protocol.ts";
import { probeResult } from "../../contract/hub-protocol.ts";
import { recordEvent } from "../audit/record-event.ts";
import { type Actor, authorize } from "../auth/actor.ts";
import { announce, subscribe } from "../db/changes.ts";
import { database } from "../db/client.ts";
import { Conflict, NotFound } from "../errors.ts";
import { gatewayState } from "../sites/gateway-state.ts";

export interface CommandOutcome {
  readonly message: string;
  readonly probe: ProbeResult | null;
}

/** Which commands a person may give from a page. Commands of the rotation are the hub's own. */
export type LinkCommand = Extract<Command, { name: "rekey" | "restart" | "probe" }>;

const verbs = { rekey: "rekeyed", restart: "restarted", probe: "tested" } as const;
const pollMilliseconds = 500;

/**
 * Has one of a link's gateways do something and waits for its answer: the one that initiates, else the other that is connected.
 * Throws Conflict with the reason when none is connected, when it refuses, and after `timeoutMilliseconds`.
 */
export async function runLinkCommand(actor: Actor, command: LinkCommand, timeoutMilliseconds = 20_000): Promise<CommandOutcome> {
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
  const row = await database().$transaction(async (tx) => {
    const created = await tx.gatewayCommand.create({ data: { gatewayId: gateway.id, linkId: link.id, command, requestedBy: actor.name } });
    await announce(tx, { resource: "command", id: created.id });
    return created;
  });
  const finished = await waitFor(row.id, timeoutMilliseconds);
  if (finished.state === "failed") throw new Conflict(finished.message ?? "The gateway could not do it and gave no reason.");
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
  const probe = probeResult.safeParse(finished.probe);
  return { message: finished.message ?? "Done.", probe: probe.success ? probe.data : null };
}

/** The row once it is done or failed. A notification wakes it; polling stands behind that. */
async function waitFor(id: string, timeoutMilliseconds: number) {
  const deadline = Date.now() + timeoutMilliseconds;
  let wake = () => {};
  const unsubscribe = await subscribe((change) => {
    if (change.resource === "command" && change.id === id) wake();
  });
  try {
    for (;;) {
      const woken = new Promise<void>((resolve) => {
        wake = resolve;
        setTimeout(resolve, pollMilliseconds);
      });
      const row = await database().gatewayCommand.findUniqueOrThrow({ where: { id } });
      if (row.state === "done" || row.state === "failed") return row;
      if (Date.now() > deadline) throw new Conflict("The gateway did not answer in time. It may still do it; the Negotiation tab shows.");
      await woken;
    }
  } finally {
    unsubscribe();
  }
}
