import type { EspSpi } from "../../wire/ikev2/message-types.ts";
import type { ReceiveSa } from "./inbound-sa.ts";
import { hashedTo } from "./network-rows.ts";

const LEAST_BITS = 4;
/** No SA has it (RFC 4303 §2.1). */
const FREE = 0;

/**
 * The inbound SAs of a worker by their SPIs. The next packet is most often for the SA of the one before, which costs a comparison. Else two reads, of places that the SPI alone says:
 * those of many packets can be under way at once, which a map's cannot. SPIs are signed numbers here: V8 keeps those in a word, where every SPI from 2^31 on would be an allocation for each packet.
 */
export class ReceiveSas {
  /** At most half of the places are taken. An SA lies where its SPI's hash says, or in the first free place behind that. */
  #spis = new Int32Array(2 ** LEAST_BITS);
  #sas: (ReceiveSa | undefined)[] = places(2 ** LEAST_BITS);
  #shift = 32 - LEAST_BITS;
  #count = 0;
  #lastSpi: number = FREE;
  #last: ReceiveSa | undefined;

  get(spi: EspSpi): ReceiveSa | undefined {
    const signed = spi | 0;
    if (signed !== this.#lastSpi) {
      this.#last = this.#sas[this.#placeOf(signed)];
      this.#lastSpi = signed;
    }
    return this.#last;
  }

  /** For read-ahead.ts: reads where the SA of this SPI, a signed number, is, unless others came before it. */
  place(spi: number): number {
    const place = hashedTo(spi, this.#shift);
    return this.#spis[place]! | (this.#sas[place] === undefined ? 1 : 0);
  }

  /** As `get`, of a packet whose turn comes later. */
  peek(spi: number): ReceiveSa | null {
    return this.#sas[this.#placeOf(spi)] ?? null;
  }

  add(sa: ReceiveSa): void {
    if (2 * (this.#count + 1) > this.#spis.length) this.#grow();
    this.#put(sa);
    this.#count++;
    this.#forgetLast();
  }

  delete(sa: ReceiveSa): void {
    const mask = this.#spis.length - 1;
    let place = this.#placeOf(sa.spi | 0);
    if (this.#sas[place] === undefined) return;
    this.#free(place);
    this.#count--;
    // Those behind it up to the next free place may lie where they do because of it.
    for (place = (place + 1) & mask; this.#sas[place] !== undefined; place = (place + 1) & mask) {
      const other = this.#sas[place]!;
      this.#free(place);
      this.#put(other);
    }
    this.#forgetLast();
  }

  /** Places; not more than four times the most SAs that there have been at once, and the least. */
  get room(): number {
    return this.#spis.length;
  }

  *values(): IterableIterator<ReceiveSa> {
    for (const sa of this.#sas) if (sa !== undefined) yield sa;
  }

  #forgetLast(): void {
    this.#lastSpi = FREE;
    this.#last = undefined;
  }

  #put(sa: ReceiveSa): void {
    const place = this.#placeOf(sa.spi | 0);
    this.#spis[place] = sa.spi | 0;
    this.#sas[place] = sa;
  }

  #free(place: number): void {
    this.#spis[place] = FREE;
    this.#sas[place] = undefined;
  }

  #grow(): void {
    const all = [...this.values()];
    const length = 2 * this.#spis.length;
    this.#shift--;
    this.#spis = new Int32Array(length);
    this.#sas = places(length);
    for (const sa of all) this.#put(sa);
  }

  /** Where the SA of this SPI is, or would be. */
  #placeOf(spi: number): number {
    const spis = this.#spis;
    const mask = spis.length - 1;
    let place = hashedTo(spi, this.#shift);
    while (spis[place] !== FREE && spis[place] !== spi) place = (place + 1) & mask;
    return place;
  }
}

/** Without holes, which would cost a look at the prototype. */
function places(count: number): (ReceiveSa | undefined)[] {
  return Array.from({ length: count }, () => undefined);
}
