/** Time for tests: moves only when told. Milliseconds. */
export class VirtualClock {
  #now: number;

  constructor(start = 1_800_000_000_000) {
    this.#now = start;
  }

  now(): number {
    return this.#now;
  }

  /** Never backwards. */
  advanceTo(at: number): void {
    if (at > this.#now) this.#now = at;
  }
}
