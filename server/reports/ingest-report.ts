import type { ObservedLink, ObservedState } from "../../contract/observed-state.ts";
import { recordEvent } from "../audit/record-event.ts";
import { announce } from "../db/changes.ts";
import { database, type Transaction } from "../db/client.ts";

/** Totals of one link at one gateway: what charts are made of. */
interface Increments {
  bytesIn: number;
  bytesOut: number;
  packetsIn: number;
  packetsOut: number;
  drops: number;
  probesSent: number;
  probesAnswered: number;
}

interface KnownLink {
  readonly id: string;
  readonly name: string;
  readonly state: string | null;
}

/**
 * Takes the reports of one gateway over one connection. SA totals begin anew with each SA, so increments are taken SA by SA; what the
 * connection's first report holds is the base and counts for nothing, because nobody knows how much of it was told before. However many
 * links a report tells of, it is written in a handful of statements.
 */
export class ReportIngest {
  readonly #gatewayId: string;
  readonly #gatewayName: string;
  readonly #saTotals = new Map<string, Increments>();
  readonly #probeTotals = new Map<string, { sent: number; answered: number }>();
  #hasBase = false;

  constructor(gatewayId: string, gatewayName: string) {
    this.#gatewayId = gatewayId;
    this.#gatewayName = gatewayName;
  }

  /** `holder` names the connection: one that another has taken over writes nothing of the gateway itself. */
  async take(state: ObservedState, holder: string): Promise<void> {
    const increments = new Map(state.links.map((link) => [link.id, this.#incrementsOf(link)]));
    this.#forgetOldSas(state);
    const isBase = !this.#hasBase;
    this.#hasBase = true;
    await database().$transaction(async (tx) => {
      // Locked in the order in which a save locks them (links, gateway, states), so that the two wait and never dead-lock.
      const known = await this.#lockLinks(tx, state.links);
      await this.#writeGateway(tx, state, holder);
      const links = state.links.filter((link) => known.has(link.id));
      if (links.length === 0) return;
      await this.#writeStates(tx, links);
      if (!isBase) await this.#writeSamples(tx, links, increments);
      for (const link of links) {
        const { name, state: previous } = known.get(link.id) ?? { name: link.id, state: null };
        if (previous !== link.state && (link.state === "up" || previous === "up")) await this.#recordChange(tx, link, name);
      }
      await announce(tx, ...links.map(({ id }) => ({ resource: "link", id }) as const));
    });
  }

  /** Those links that are still there, with the state this gateway reported before. */
  async #lockLinks(tx: Transaction, links: readonly ObservedLink[]): Promise<Map<string, KnownLink>> {
    const rows = await tx.$queryRaw<KnownLink[]>`
      SELECT l.id, l.name, s.state::text AS state FROM "Link" l LEFT JOIN "LinkState" s ON s."linkId" = l.id AND s."gatewayId" = ${this.#gatewayId}
      WHERE l.id = ANY(${links.map((link) => link.id)}) FOR KEY SHARE OF l`;
    return new Map(rows.map((row) => [row.id, row]));
  }

  async #writeGateway(tx: Transaction, state: ObservedState, holder: string): Promise<void> {
    // The database's clock, because it is what freshness is judged by.
    await tx.$executeRaw`
      UPDATE "Gateway" SET "lastHeardAt" = now(), "agentVersion" = ${state.agentVersion}, "startedAt" = ${new Date(state.startedAt)}, plane = ${state.plane},
        "planeReason" = ${state.planeReason}, "memoryBytes" = ${state.memoryBytes}, processors = ${state.processors ?? null},
        "runningOutbound" = ${state.workers?.outbound ?? null}, "runningInbound" = ${state.workers?.inbound ?? null},
        "settingsRefusal" = ${state.settingsRefusal ?? null}
      WHERE id = ${this.#gatewayId} AND "hubId" = ${holder}`;
  }

  async #writeStates(tx: Transaction, links: readonly ObservedLink[]): Promise<void> {
    const rows = links.map((link) => ({ linkId: link.id, state: link.state, since: new Date(link.since), observed: link }));
    await tx.$executeRaw`
      INSERT INTO "LinkState" ("linkId", "gatewayId", state, since, "reportedAt", observed)
      SELECT r."linkId", ${this.#gatewayId}, r.state, r.since, now(), r.observed
      FROM jsonb_to_recordset(${JSON.stringify(rows)}::jsonb) AS r("linkId" text, state "TunnelState", since timestamptz, observed jsonb)
      ON CONFLICT ("linkId", "gatewayId") DO UPDATE SET
        state = EXCLUDED.state, since = EXCLUDED.since, "reportedAt" = EXCLUDED."reportedAt", observed = EXCLUDED.observed`;
  }

  async #recordChange(tx: Transaction, link: ObservedLink, name: string): Promise<void> {
    const why = link.state !== "up" && link.lastFailure !== null ? `: ${link.lastFailure.sentence}` : "";
    await recordEvent(tx, {
      resource: "link",
      resourceId: link.id,
      resourceName: name,
      verb: link.state,
      actorId: null,
      actorName: this.#gatewayName,
      summary: `${this.#gatewayName} says that ${name} is ${link.state}${why}`,
    });
  }

  /** The same increments at every resolution, so that a chart reads the one that fits its range. */
  async #writeSamples(tx: Transaction, links: readonly ObservedLink[], increments: ReadonlyMap<string, Increments>): Promise<void> {
    const rows = links.map((link) => ({ linkId: link.id, roundTripMs: link.roundTripMs, ...(increments.get(link.id) ?? none()) }));
    await tx.$executeRaw`
      INSERT INTO "CounterSample" ("linkId", "gatewayId", "resolutionSeconds", at, "bytesIn", "bytesOut", "packetsIn", "packetsOut", drops,
        "roundTripMs", "probesSent", "probesAnswered")
      SELECT r."linkId", ${this.#gatewayId}, resolution, date_bin(make_interval(secs => resolution), now(), '2000-01-01+00'), r."bytesIn", r."bytesOut",
        r."packetsIn", r."packetsOut", r.drops, r."roundTripMs", r."probesSent", r."probesAnswered"
      FROM unnest(ARRAY[1, 60, 3600]) AS resolution, jsonb_to_recordset(${JSON.stringify(rows)}::jsonb) AS r("linkId" text, "roundTripMs" float8,
        "bytesIn" int8, "bytesOut" int8, "packetsIn" int8, "packetsOut" int8, drops int8, "probesSent" int4, "probesAnswered" int4)
      ON CONFLICT ("linkId", "gatewayId", "resolutionSeconds", at) DO UPDATE SET
        "bytesIn" = "CounterSample"."bytesIn" + EXCLUDED."bytesIn", "bytesOut" = "CounterSample"."bytesOut" + EXCLUDED."bytesOut",
        "packetsIn" = "CounterSample"."packetsIn" + EXCLUDED."packetsIn", "packetsOut" = "CounterSample"."packetsOut" + EXCLUDED."packetsOut",
        drops = "CounterSample".drops + EXCLUDED.drops, "roundTripMs" = COALESCE(EXCLUDED."roundTripMs", "CounterSample"."roundTripMs"),
        "probesSent" = "CounterSample"."probesSent" + EXCLUDED."probesSent", "probesAnswered" = "CounterSample"."probesAnswered" + EXCLUDED."probesAnswered"`;
  }

  #incrementsOf(link: ObservedLink): Increments {
    const sum = none();
    for (const child of link.ikeSas.flatMap((ike) => ike.childSas)) {
      const drops = Object.values(child.drops).reduce((total, count) => total + count, 0);
      const now: Increments = { ...none(), bytesIn: child.bytesIn, bytesOut: child.bytesOut, packetsIn: child.packetsIn, packetsOut: child.packetsOut, drops };
      const key = `${link.id}/${child.inboundSpi}/${child.outboundSpi}`;
      addDifference(sum, now, this.#saTotals.get(key) ?? none());
      this.#saTotals.set(key, now);
    }
    const before = this.#probeTotals.get(link.id) ?? { sent: 0, answered: 0 };
    this.#probeTotals.set(link.id, { sent: link.probesSent, answered: link.probesAnswered });
    // Totals that went back belong to a gateway that was started anew.
    sum.probesSent = link.probesSent >= before.sent ? link.probesSent - before.sent : link.probesSent;
    sum.probesAnswered = link.probesAnswered >= before.answered ? link.probesAnswered - before.answered : link.probesAnswered;
    return sum;
  }

  #forgetOldSas(state: ObservedState): void {
    const present = new Set(
      state.links.flatMap((link) => link.ikeSas.flatMap((ike) => ike.childSas.map((child) => `${link.id}/${child.inboundSpi}/${child.outboundSpi}`))),
    );
    for (const key of this.#saTotals.keys()) if (!present.has(key)) this.#saTotals.delete(key);
  }
}

function none(): Increments {
  return { bytesIn: 0, bytesOut: 0, packetsIn: 0, packetsOut: 0, drops: 0, probesSent: 0, probesAnswered: 0 };
}

function addDifference(sum: Increments, now: Increments, before: Increments): void {
  for (const key of ["bytesIn", "bytesOut", "packetsIn", "packetsOut", "drops"] as const) sum[key] += Math.max(0, now[key] - before[key]);
}
