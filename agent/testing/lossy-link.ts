import type { UdpEndpoint } from "../ipsec/security-association.ts";
import type { SeededRandom } from "./seeded-random.ts";

export interface Packet {
  readonly from: UdpEndpoint;
  readonly to: UdpEndpoint;
  readonly bytes: Uint8Array;
  readonly dontFragment: boolean;
  /** Counts all packets put on the link, from 0. */
  readonly index: number;
}

export interface LinkQuality {
  readonly delayMs: number;
  /** Shares of packets: lost, sent twice, held back by up to `reorderMs`. */
  readonly loss: number;
  readonly duplicate: number;
  readonly reorder: number;
  readonly reorderMs: number;
}

export const PERFECT_LINK: LinkQuality = { delayMs: 10, loss: 0, duplicate: 0, reorder: 0, reorderMs: 0 };

/** A path on virtual time that loses, doubles and reorders packets by a seeded source, or as a rule of the test says. */
export class LossyLink {
  quality: LinkQuality;
  /** Says which packets get lost besides those of `quality`. */
  drops: (packet: Packet) => boolean = () => false;
  /** Every packet put on the link, also the lost ones. */
  readonly sent: Packet[] = [];
  readonly #random: SeededRandom;
  readonly #underway: { readonly at: number; readonly order: number; readonly packet: Packet }[] = [];
  #order = 0;

  constructor(random: SeededRandom, quality: LinkQuality = PERFECT_LINK) {
    this.#random = random;
    this.quality = quality;
  }

  send(from: UdpEndpoint, to: UdpEndpoint, bytes: Uint8Array, now: number, dontFragment = false): void {
    const packet = { from, to, bytes, dontFragment, index: this.sent.length };
    this.sent.push(packet);
    if (this.drops(packet)) return;
    const copies = this.#random.next() < this.quality.duplicate ? 2 : 1;
    for (let copy = 0; copy < copies; copy++) {
      if (this.#random.next() < this.quality.loss) continue;
      const late = this.#random.next() < this.quality.reorder ? this.#random.next() * this.quality.reorderMs : 0;
      this.#underway.push({ at: now + this.quality.delayMs + late, order: this.#order++, packet });
    }
  }

  /** When the next packet arrives; null: none is under way. */
  nextArrival(): number | null {
    return this.#underway.reduce<number | null>((earliest, one) => (earliest === null || one.at < earliest ? one.at : earliest), null);
  }

  /** The packet that arrives first, if it is due. */
  take(now: number): Packet | null {
    this.#underway.sort((a, b) => a.at - b.at || a.order - b.order);
    const first = this.#underway[0];
    if (first === undefined || first.at > now) return null;
    this.#underway.shift();
    return first.packet;
  }
}
