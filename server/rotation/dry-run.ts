import type { Link } from "../../generated/prisma/client.ts";
import { database } from "../db/client.ts";
import { gatewayState } from "../sites/gateway-state.ts";

/** Everything that can be known before a rotation without changing anything: what would stop it, or what it would do. */
export async function checkWithoutChange(link: Link): Promise<{ ok: boolean; sentence: string }> {
  const states = await database().linkState.findMany({ where: { linkId: link.id }, include: { gateway: { include: { site: true } } } });
  const obstacles: string[] = [];
  if (states.length < 2) obstacles.push("not both ends have a gateway that knows the link");
  for (const { gateway, verdict, verdictReason, state } of states) {
    const name = gateway.site.name;
    const connection = gatewayState(gateway, Date.now());
    if (connection !== "connected") obstacles.push(`the gateway of ${name} is ${connection === "never" ? "not enrolled" : connection}`);
    else if (verdict === "refused") obstacles.push(`${name} refuses the link's configuration (${verdictReason ?? "no reason given"})`);
    else if (state !== "up") obstacles.push(`${name} says that the tunnel is ${state ?? "unknown"}`);
  }
  if (obstacles.length > 0) return { ok: false, sentence: `A rotation of ${link.name} would fail now: ${obstacles.join("; ")}.` };
  return { ok: true, sentence: `A rotation of ${link.name} can start: both gateways are connected and the tunnel is up at both ends. Nothing was changed.` };
}
