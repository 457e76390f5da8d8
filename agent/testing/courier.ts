import type { Packet } from "./lossy-link.ts";
import type { Pair, Side } from "./pair.ts";

/** Time between two deliveries by hand: below any timer of the engine. */
const STEP_MS = 5;

/** Takes every packet off a pair's link and delivers it when the test says: in any order, never, or more than once. */
export class Courier {
  readonly #pair: Pair;
  readonly #waiting: Packet[] = [];

  constructor(pair: Pair) {
    this.#pair = pair;
    pair.link.drops = (packet) => {
      this.#waiting.push(packet);
      return true;
    };
  }

  /** Packets that `side` has sent and that wait, the oldest first. */
  waiting(side: Side): readonly Packet[] {
    return this.#waiting.filter((packet) => packet.from.address === side.address);
  }

  /** Takes the `nth` waiting packet of `side` away, for later or for good. */
  keep(side: Side, nth = 0): Packet {
    const packet = this.waiting(side)[nth];
    if (packet === undefined) throw new Error(`${side.name} has sent ${this.waiting(side).length} packets, and number ${nth} is asked for`);
    this.#waiting.splice(this.#waiting.indexOf(packet), 1);
    return packet;
  }

  /** Delivers the `nth` waiting packet of `side` to the other. */
  deliver(side: Side, nth = 0): Packet {
    const packet = this.keep(side, nth);
    this.hand(packet);
    return packet;
  }

  /** Delivers a packet that is in hand, kept before or a copy. */
  hand(packet: Packet): void {
    this.#pair.clock.advanceTo(this.#pair.clock.now() + STEP_MS);
    const to = [this.#pair.a, this.#pair.b].find((one) => one.address === packet.to.address);
    if (to === undefined) throw new Error(`Nobody has the address ${packet.to.address}`);
    this.#pair.give(to, { kind: "datagram", local: packet.to, remote: packet.from, bytes: packet.bytes.slice() });
  }

  /** Delivers what waits, oldest first, and what is sent meanwhile, until nothing is; timers do not run. */
  deliverAll(): void {
    for (let count = 0; this.#waiting.length > 0; count++) {
      if (count > 1_000) throw new Error("The two never stop talking.");
      const packet = this.#waiting[0]!;
      this.#waiting.shift();
      this.hand(packet);
    }
  }

  /** From now on the link carries packets by itself; those that waited are delivered first, or are lost. */
  leave(rest: "deliver" | "lose" = "deliver"): void {
    if (rest === "deliver") this.deliverAll();
    this.#waiting.length = 0;
    this.#pair.link.drops = () => false;
  }
}
