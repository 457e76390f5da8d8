import { command, type FromGateway } from "../../contract/hub-protocol.ts";
import type { InputJsonValue } from "../../generated/prisma/internal/prismaNamespace.ts";
import { endCommand } from "../commands/gateway-command.ts";
import { announce } from "../db/changes.ts";
import { database } from "../db/client.ts";
import type { GatewayConnection } from "./gateway-connection.ts";

/** A command that waited for this long is not sent any more: its caller has given up, or soon will, and the state it was meant for has passed. */
const patienceMilliseconds = 10_000;
/** One that was sent this long ago has no answer to come: its hub was killed, and its caller as well. */
const answerMilliseconds = 120_000;

/** Sends what is queued for the gateways connected here. Claiming is one update, so two hubs never send the same command. */
export async function relayCommands(connections: ReadonlyMap<string, GatewayConnection>): Promise<void> {
  const db = database();
  const queued = await db.gatewayCommand.findMany({
    where: { state: "queued" },
    orderBy: { createdAt: "asc" },
    take: 200,
    include: { gateway: { select: { hubId: true } } },
  });
  for (const row of queued) {
    const connection = connections.get(row.gatewayId);
    // A connection that another one has taken over may not have ended here yet: what is sent on it is lost.
    const isTakenOver = row.gateway.hubId !== null && row.gateway.hubId !== connection?.holder;
    const isHere = connection !== undefined && !isTakenOver;
    if (Date.now() - row.createdAt.getTime() > patienceMilliseconds) {
      await endCommand(row.id, isHere ? "It was not sent in time: no hub was there to send it." : "The gateway is not connected to the console.");
      continue;
    }
    if (!isHere) continue;
    const claimed = await db.gatewayCommand.updateMany({ where: { id: row.id, state: "queued" }, data: { state: "sent", sentAt: new Date() } });
    if (claimed.count === 0) continue;
    const parsed = command.safeParse(row.command);
    if (parsed.success) connection.command(row.id, parsed.data);
    else await endCommand(row.id, "The command is not one that gateways know.");
  }
}

/** Writes a gateway's answer. Only the gateway it was sent to can answer it. */
export async function finishCommand(gatewayId: string, result: Extract<FromGateway, { type: "result" }>): Promise<void> {
  const db = database();
  const { id, ok, message, probe, traceFile } = result;
  const done = await db.gatewayCommand.updateMany({
    where: { id, gatewayId, state: "sent" },
    data: {
      state: ok ? "done" : "failed",
      message,
      finishedAt: new Date(),
      ...(probe === undefined ? {} : { probe }),
      ...(traceFile === undefined ? {} : { traceFile: traceFile as InputJsonValue }),
    },
  });
  if (done.count > 0) await announce(db, { resource: "command", id });
}

/** Ends what was sent to a gateway and can have no answer any more. */
export async function endUnanswered(): Promise<void> {
  const sentBefore = new Date(Date.now() - answerMilliseconds);
  const rows = await database().gatewayCommand.findMany({ where: { state: "sent", sentAt: { lt: sentBefore } }, select: { id: true }, take: 200 });
  for (const { id } of rows) await endCommand(id, "The gateway did not answer in time.");
}
