/** So many a second, whatever asks: for what anyone outside or inside can make this side do. */
export class Allowance {
  readonly #perSecond: number;
  #since = Number.NEGATIVE_INFINITY;
  #used = 0;

  constructor(perSecond: number) {
    this.#perSecond = perSecond;
  }

  /** `now`: milliseconds of a clock that is never set. */
  allows(now: number): boolean {
    if (now - this.#since >= 1_000) {
      this.#since = now;
      this.#used = 0;
    }
    return this.#used++ < this.#perSecond;
  }
}
