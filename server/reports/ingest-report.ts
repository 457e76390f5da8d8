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

const resolutionsSeconds = [1, 60, 3_600] as const;

/**
 * Takes the reports of one gateway over one connection. SA totals begin anew with each SA, so increments are taken SA by SA; what the
 * connection's first report holds is the base and counts for nothing, because nobody knows how much of it was told before.
 */
export class ReportIngest {
  readonly #gatewayId: string;
  readonly #gatewayName: string;
  readonly #saTotals = new Map<string, Increments>();
  readonly #probeTotals = new Map<string, { sent: number; answered: number }>();
  readonly #states = new Map<string, ObservedLink["state"]>();
  #hasBase = false;

  constructor(gatewayId: string, gatewayName: string) {
    this.#gatewayId = gatewayId;
    this.#gatewayName = gatewayName;
  }

  async take(state: ObservedState, hubId: string): Promise<void> {
    const increments = new Map(state.links.map((link) => [link.id, this.#incrementsOf(link)]));
    this.#forgetOldSas(state);
    const isBase = !this.#hasBase;
    this.#hasBase = true;
    await database().$transaction(async (tx) => {
      await this.#writeGateway(tx, state, hubId);
      const known = new Set(
        (await tx.link.findMany({ where: { id: { in: state.links.map((link) => link.id) } }, select: { id: true } })).map((link) => link.id),
      );
      for (const link of state.links) {
        if (!known.has(link.id)) continue;
        await this.#writeLink(tx, link);
        if (!isBase) await this.#writeSamples(tx, link, increments.get(link.id));
      }
      await announce(tx, ...[...known].map((id) => ({ resource: "link", id }) as const));
    });
  }

  async #writeGateway(tx: Transaction, state: ObservedState, hubId: string): Promise<void> {
    await tx.gateway.updateMany({
      where: { id: this.#gatewayId, hubId },
      data: {
        lastHeardAt: new Date(),
        agentVersion: state.agentVersion,
        startedAt: new Date(state.startedAt),
        plane: state.plane,
        planeReason: state.planeReason,
        memoryBytes: state.memoryBytes,
      },
    });
  }

  async #writeLink(tx: Transaction, link: ObservedLink): Promise<void> {
    const key = { linkId: link.id, gatewayId: this.#gatewayId };
    const data = { state: link.state, since: new Date(link.since), reportedAt: new Date(), observed: link };
    const previous = this.#states.get(link.id) ?? (await tx.linkState.findUnique({ where: { linkId_gatewayId: key } }))?.state ?? null;
    await tx.linkState.upsert({ where: { linkId_gatewayId: key }, create: { ...key, ...data }, update: data });
    this.#states.set(link.id, link.state);
    if (previous !== link.state && (link.state === "up" || previous === "up")) await this.#recordChange(tx, link);
  }

  async #recordChange(tx: Transaction, link: ObservedLink): Promise<void> {
    const row = await tx.link.findUniqueOrThrow({ where: { id: link.id }, select: { name: true } });
    const why = link.state !== "up" && link.lastFailure !== null ? `: ${link.lastFailure.sentence}` : "";
    await recordEvent(tx, {
      resource: "link",
      resourceId: link.id,
      resourceName: row.name,
      verb: link.state,
      actorId: null,
      actorName: this.#gatewayName,
      summary: `${this.#gatewayName} says that ${row.name} is ${link.state}${why}`,
    });
  }

  async #writeSamples(tx: Transaction, link: ObservedLink, more: Increments | undefined): Promise<void> {
    if (more === undefined) return;
    for (const seconds of resolutionsSeconds) {
      const at = new Date(Math.floor(Date.now() / (seconds * 1_000)) * seconds * 1_000);
      await tx.$executeRaw`
        INSERT INTO "CounterSample" ("linkId", "gatewayId", "resolutionSeconds", "at", "bytesIn", "bytesOut", "packetsIn", "packetsOut", "drops",
          "roundTripMs", "probesSent", "probesAnswered")
        VALUES (${link.id}, ${this.#gatewayId}, ${seconds}, ${at}, ${more.bytesIn}, ${more.bytesOut}, ${more.packetsIn}, ${more.packetsOut}, ${more.drops},
          ${link.roundTripMs}, ${more.probesSent}, ${more.probesAnswered})
        ON CONFLICT ("linkId", "gatewayId", "resolutionSeconds", "at") DO UPDATE SET
          "bytesIn" = "CounterSample"."bytesIn" + EXCLUDED."bytesIn", "bytesOut" = "CounterSample"."bytesOut" + EXCLUDED."bytesOut",
          "packetsIn" = "CounterSample"."packetsIn" + EXCLUDED."packetsIn", "packetsOut" = "CounterSample"."packetsOut" + EXCLUDED."packetsOut",
          "drops" = "CounterSample"."drops" + EXCLUDED."drops", "roundTripMs" = COALESCE(EXCLUDED."roundTripMs", "CounterSample"."roundTripMs"),
          "probesSent" = "CounterSample"."probesSent" + EXCLUDED."probesSent", "probesAnswered" = "CounterSample"."probesAnswered" + EXCLUDED."probesAnswered"`;
    }
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
