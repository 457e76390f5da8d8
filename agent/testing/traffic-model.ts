import type { Pair, Side } from "./pair.ts";

/** The longest that a packet is held up on the way in this model. */
const LATEST_MS = 1_000;

export interface TrafficWish {
  /** Until the first packet on a new SA arrives; null: none does, as on a tunnel without traffic. */
  readonly firstPacketMs: number | null;
  /**
   * The traffic must never stop: a policy without an SA counts as a loss. Otherwise packets may also overtake the answer that makes
   * the receiver's SA: its data plane keeps them until then.
   */
  readonly isSteady: boolean;
}

/**
 * Traffic that never stops. Between any two steps each side sends on the SA that its policy points at, and each packet may take up
 * to a second. Whenever one could arrive, the other side must have its inbound SA: `losses` names every time it had not. The first
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
      for (const spi of one.current) one.lastSent.set(spi, now);
      const next = currentSpis(one.from);
      if (this.#wish.isSteady && next.length < one.current.length) this.losses.push(`${now}: ${one.from.name} has nothing to send on`);
      const fresh = next.filter((spi) => !one.current.includes(spi));
      one.current = next;
      for (const spi of one.to.inbound.keys()) one.installed.add(spi);
      for (const spi of next) one.lastSent.set(spi, now);
      for (const spi of fresh) this.#sendFirst(one, spi);
      for (const [spi, at] of one.lastSent) {
        if (now - at > LATEST_MS) one.lastSent.delete(spi);
        else if (!one.to.inbound.has(spi) && (this.#wish.isSteady || one.installed.has(spi))) {
          this.losses.push(`${now}: ${one.to.name} has no inbound SA ${spi}, on which ${one.from.name} sent ${now - at} ms ago`);
          one.lastSent.delete(spi);
        }
      }
    }
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
  current: number[];
  /** When each SPI was last sent on, as far as packets of it may still be on the way. */
  readonly lastSent: Map<number, number>;
  readonly arrived: Set<number>;
  /** Inbound SAs that the receiver has or has had. */
  readonly installed: Set<number>;
}

function flow(from: Side, to: Side): Flow {
  return { from, to, current: currentSpis(from), lastSent: new Map(), arrived: new Set(), installed: new Set(to.inbound.keys()) };
}

function currentSpis(side: Side): number[] {
  return [...side.policies.values()].flatMap((policy) => (policy.action.kind === "protect" ? [policy.action.spi] : []));
}
