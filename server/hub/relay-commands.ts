import { command, type FromGateway } from "../../contract/hub-protocol.ts";
import { announce } from "../db/changes.ts";
import { database } from "../db/client.ts";
import type { GatewayConnection } from "./gateway-connection.ts";

/** A command nobody could send for this long is told to have failed. */
const patienceMilliseconds = 10_000;

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
    if (connection === undefined || isTakenOver) {
      if (Date.now() - row.createdAt.getTime() > patienceMilliseconds) await fail(row.id, "The gateway is not connected to the console.");
      continue;
    }
    const claimed = await db.gatewayCommand.updateMany({ where: { id: row.id, state: "queued" }, data: { state: "sent", sentAt: new Date() } });
    if (claimed.count === 0) continue;
    const parsed = command.safeParse(row.command);
    if (parsed.success) connection.command(row.id, parsed.data);
    else await fail(row.id, "The command is not one that gateways know.");
  }
}

/** Writes a gateway's answer. Only the gateway it was sent to can answer it. */
export async function finishCommand(gatewayId: string, result: Extract<FromGateway, { type: "result" }>): Promise<void> {
  const db = database();
  const { id, ok, message, probe } = result;
  const done = await db.gatewayCommand.updateMany({
    where: { id, gatewayId, state: "sent" },
    data: { state: ok ? "done" : "failed", message, finishedAt: new Date(), ...(probe === undefined ? {} : { probe }) },
  });
  if (done.count > 0) await announce(db, { resource: "command", id });
}

async function fail(id: string, message: string): Promise<void> {
  const db = database();
  const failed = await db.gatewayCommand.updateMany({
    where: { id, state: { in: ["queued", "sent"] } },
    data: { state: "failed", message, finishedAt: new Date() },
  });
  if (failed.count > 0) await announce(db, { resource: "command", id });
}
