import type { EspSpi } from "../../wire/ikev2/message-types.ts";
import type { ReceiveSa } from "./inbound-sa.ts";

/**
 * The inbound SAs of a worker by their SPIs. The next packet is most often for the SA of the one before, which costs a comparison. Keys are the SPIs as signed numbers:
 * V8 keeps those in a word, where every SPI from 2^31 on would be an allocation for each packet that is looked up.
 */
export class ReceiveSas {
  readonly #bySpi = new Map<number, ReceiveSa>();
  /** -1 is no SPI. */
  #lastSpi = -1;
  #last: ReceiveSa | undefined;

  get(spi: EspSpi): ReceiveSa | undefined {
    if (spi !== this.#lastSpi) {
      this.#last = this.#bySpi.get(spi | 0);
      this.#lastSpi = spi;
    }
    return this.#last;
  }

  add(sa: ReceiveSa): void {
    this.#bySpi.set(sa.spi | 0, sa);
    this.#forgetLast();
  }

  delete(sa: ReceiveSa): void {
    this.#bySpi.delete(sa.spi | 0);
    this.#forgetLast();
  }

  values(): IterableIterator<ReceiveSa> {
    return this.#bySpi.values();
  }

  #forgetLast(): void {
    this.#lastSpi = -1;
    this.#last = undefined;
  }
}
