import type { ChildSa } from "../ike/child-sa.ts";
import { childrenOf, type IkeSa } from "../ike/ike-sa.ts";
import { isKnownToPeer } from "../ike/known-to-peer.ts";
import type { Pair, Side } from "./pair.ts";

/** The longest that a packet is held up on the way in this model. */
const LATEST_MS = 1_000;

export interface TrafficWish {
  /** Until the first packet on a new SA arrives; null: none does, as on a tunnel without traffic. */
  readonly firstPacketMs: number | null;
  /** The traffic must never stop: a policy that loses its SA counts as a loss. */
  readonly isSteady: boolean;
  /** For how long the receiver keeps packets that overtake the answer which makes its SA although there was another to send on. */
  readonly keptMs: number;
}

/**
 * Traffic that never stops. Between any two steps each side sends on the SA that its policy points at, and each packet may take up
 * to a second. Whenever one could arrive, the other side must have its inbound SA: `losses` names every time it had not. Only where
 * there is nothing else to send on may packets overtake the answer that makes the receiver's SA: its data plane keeps them until then. The first
 * packet that arrives on an inbound SA is reported to its engine, as the data plane does.
 */
export class TrafficModel {
  readonly losses: string[] = [];
  readonly #pair: Pair;
  readonly #wish: TrafficWish;
  readonly #flows: Flow[];

  constructor(pair: Pair, wish: TrafficWish) {
    this.#pair = pair;
    this.#wish = wish;
    this.#flows = [flow(pair.a, pair.b), flow(pair.b, pair.a)];
    pair.afterStep = () => this.#step();
  }

  #step(): void {
    const now = this.#pair.clock.now();
    for (const one of this.#flows) {
      for (const spi of one.current.values()) one.lastSent.set(spi, now);
      for (const spi of one.to.inbound.keys()) one.installed.add(spi);
      const next = currentSpis(one.from);
      for (const [policyId, spi] of next) {
        const before = one.current.get(policyId);
        // Also when what else there was has gone since: the peer was told to end it.
        const isFirst = before === undefined && !policyId.includes("#");
        if (isFirst || !outboundSpis(one.from, policyId.split("#")[0]!).some((other) => one.to.inbound.has(other))) one.first.add(spi);
        if (before === spi) continue;
        this.#sendFirst(one, spi);
      }
      // A worker without an SA of its own goes on with the one for all.
      const stopped = [...one.current.keys()].filter((key) => !key.includes("#") && !next.has(key));
      if (this.#wish.isSteady) for (const policyId of stopped) this.losses.push(`${now}: ${one.from.name} has nothing to send on for ${policyId}`);
      this.#noteGivenUp(one);
      one.current = next;
      for (const spi of next.values()) one.lastSent.set(spi, now);
      this.#arrive(one, now);
    }
  }

  #arrive(one: Flow, now: number): void {
    for (const [spi, at] of one.lastSent) {
      if (now - at > LATEST_MS || one.givenUp.has(spi)) one.lastSent.delete(spi);
      else if (!one.to.inbound.has(spi) && (one.installed.has(spi) || !this.#isKept(one, spi, now))) {
        this.losses.push(`${now}: ${one.to.name} has no inbound SA ${spi}, on which ${one.from.name} sent ${now - at} ms ago`);
        one.lastSent.delete(spi);
      }
    }
  }

  /** Until its SA is there. */
  #isKept(one: Flow, spi: number, now: number): boolean {
    const since = one.early.get(spi) ?? now;
    one.early.set(spi, since);
    return (one.first.has(spi) && !hasBetter(one, spi)) || now - since < this.#wish.keptMs;
  }

  /** Who sent a request as often as it may be took the other for dead, and all SAs with it: the line has lost what the other still sends on these. */
  #noteGivenUp(one: Flow): void {
    const { trace, engine } = one.to;
    const entries = trace.slice(one.seenEntries);
    one.seenEntries = trace.length;
    const hasGivenUp = entries.some((entry) => entry.exchange === "RETRANSMIT" && !entry.summary.startsWith("No answer yet"));
    const graves = [...engine.graves].map((grave) => grave.spi);
    if (hasGivenUp) for (const spi of graves) if (!one.graves.has(spi)) one.givenUp.add(spi);
    one.graves = new Set(graves);
  }

  #sendFirst(one: Flow, spi: number): void {
    const { firstPacketMs } = this.#wish;
    if (firstPacketMs === null) return;
    this.#pair.schedule(this.#pair.clock.now() + firstPacketMs, () => {
      const sa = one.to.inbound.get(spi);
      if (sa === undefined || one.arrived.has(spi)) return;
      one.arrived.add(spi);
      this.#pair.give(one.to, { kind: "firstInboundPacket", childSaId: sa.childSaId, spi: sa.spi });
    });
  }
}

interface Flow {
  readonly from: Side;
  readonly to: Side;
  /** The SPI that each policy points at, and under `#` and its number that of each worker with one of its own. */
  current: Map<string, number>;
  /** When each SPI was last sent on, as far as packets of it may still be on the way. */
  readonly lastSent: Map<number, number>;
  readonly arrived: Set<number>;
  /** Inbound SAs that the receiver has or has had. */
  readonly installed: Set<number>;
  /** When packets first came for an SPI that was not there yet. */
  readonly early: Map<number, number>;
  /** SPIs that were sent on when there was nothing else to send on that the receiver had, or were there at the beginning. */
  readonly first: Set<number>;
  /** What the receiver has lost by giving the sender up. */
  readonly givenUp: Set<number>;
  /** Of the receiver: SAs that wait out the packets in flight, and how much of its trace has been looked at. */
  graves: ReadonlySet<number>;
  seenEntries: number;
}

function flow(from: Side, to: Side): Flow {
  const current = currentSpis(from);
  return {
    from,
    to,
    current,
    lastSent: new Map(),
    arrived: new Set(),
    installed: new Set(to.inbound.keys()),
    early: new Map(),
    first: new Set(current.values()),
    givenUp: new Set(),
    graves: new Set(),
    seenEntries: to.trace.length,
  };
}

/** The sender goes on with this SPI, which the receiver has not got, although it knows that the receiver has another for the same. */
function hasBetter({ from, to, current }: Flow, spi: number): boolean {
  const policyIds = [...current].flatMap(([policyId, at]) => (at === spi ? [policyId] : []));
  return policyIds.some((policyId) => outboundChildren(from, policyId).some(({ sa, child }) => isKnownToPeer(sa, child) && to.inbound.has(child.outboundSpi)));
}

/** What a policy could point at. */
function outboundSpis(side: Side, policyId: string): number[] {
  return outboundChildren(side, policyId).map(({ child }) => child.outboundSpi);
}

function outboundChildren(side: Side, policyId: string): { readonly sa: IkeSa; readonly child: ChildSa }[] {
  const children = [...side.engine.ikeSas.values()].flatMap((sa) => [...childrenOf(sa).values()].map((child) => ({ sa, child })));
  return children.filter(({ sa, child }) => child.outbound !== null && `${sa.linkId}/${child.name}` === policyId);
}

function currentSpis(side: Side): Map<string, number> {
  const protecting = [...side.policies.values()].flatMap(({ id, action }) => {
    if (action.kind === "discard") return [];
    const own = (action.workerSpis ?? []).flatMap((spi, index) => (spi === null ? [] : [[`${id}#${index + 1}`, spi] as const]));
    return [[id, action.spi] as const, ...own];
  });
  return new Map(protecting);
}
