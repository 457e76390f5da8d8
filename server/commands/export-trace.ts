import type { TraceFile } from "../../contract/trace-file.ts";
import { recordEvent } from "../audit/record-event.ts";
import { type Actor, authorize } from "../auth/actor.ts";
import { database } from "../db/client.ts";
import { Conflict, NotFound } from "../errors.ts";
import { gatewayState } from "../sites/gateway-state.ts";
import { performGatewayCommand } from "./gateway-command.ts";

const mostEntries = 1_000;

export interface ExportedTrace {
  /** For the download: the link, the site and the minute. */
  readonly fileName: string;
  readonly file: TraceFile;
}

/**
 * What the gateway of one of a link's sites saw of its negotiations, as a file for `culvert-agent replay`. The gateway redacts it before it
 * leaves: no key, no secret, no nonce. It is asked for now and kept nowhere. Throws Conflict when the gateway is not connected, refuses, or
 * does not answer within `timeoutMilliseconds`.
 */
export async function exportTrace(actor: Actor, linkId: string, siteId: string, timeoutMilliseconds = 20_000): Promise<ExportedTrace> {
  authorize(actor, "operate");
  const link = await database().link.findUnique({
    where: { id: linkId },
    include: { siteA: { include: { gateway: true } }, siteB: { include: { gateway: true } } },
  });
  if (link === null) throw new NotFound("There is no such link.");
  const site = [link.siteA, link.siteB].find((each) => each?.id === siteId) ?? null;
  if (site?.gateway == null) throw new NotFound("This link has no gateway of ours at that site.");
  if (gatewayState(site.gateway, Date.now()) !== "connected")
    throw new Conflict(`The gateway of ${site.name} is not connected to the console. On the gateway itself: culvert-agent trace ${link.id} --json.`);
  const outcome = await performGatewayCommand({
    gatewayId: site.gateway.id,
    linkId: link.id,
    command: { name: "trace", linkId: link.id, limit: mostEntries, file: true },
    requestedBy: actor.name,
    timeoutMilliseconds,
  });
  if (!outcome.ok || outcome.traceFile === null) throw new Conflict(`${site.name}: ${outcome.message || "the gateway sent no trace and gave no reason"}`);
  await database().$transaction((tx) =>
    recordEvent(tx, {
      resource: "link",
      resourceId: link.id,
      resourceName: link.name,
      verb: "exported",
      actorId: actor.userId,
      actorName: actor.name,
      summary: `The trace of ${link.name} at ${site.name} was downloaded`,
    }),
  );
  return { fileName: fileNameOf(link.name, site.name), file: outcome.traceFile };
}

function fileNameOf(...names: readonly string[]): string {
  const parts = names.map((name) =>
    name
      .normalize("NFKD")
      .toLowerCase()
      .replaceAll(/[^a-z0-9]+/g, "-")
      .replaceAll(/^-+|-+$/g, "")
      .slice(0, 60),
  );
  const minute = new Date().toISOString().slice(0, 16).replaceAll(":", "");
  return ["culvert-trace", ...parts.filter((part) => part !== ""), minute].join("-").concat(".json");
}
