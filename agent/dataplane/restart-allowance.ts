/** Who loses more workers than this has another fault than one that a new worker mends. */
const RESTARTS = 3;
const WITHIN_MS = 60_000;

/** How often a worker that died may be replaced: three times a minute. */
export class RestartAllowance {
  #at: readonly number[] = [];

  /** Whether it may be now, which counts as done. `now`: milliseconds of a clock that is never set. */
  take(now: number): boolean {
    this.#at = [...this.#at.filter((at) => now - at < WITHIN_MS), now];
    return this.#at.length <= RESTARTS;
  }
}
