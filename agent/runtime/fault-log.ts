const QUIET_MS = 60_000;
const FAULTS_A_MINUTE = 100;

/** Tells the operator of faults. The same one, such as a peer without a route, comes with every retransmission: it is told once a minute. */
export class FaultLog {
  readonly #now: () => number;
  readonly #log: (line: string) => void;
  readonly #quietUntil = new Map<string, number>();

  /** `now` in milliseconds, of a clock that is never set. */
  constructor(now: () => number, log: (line: string) => void) {
    this.#now = now;
    this.#log = log;
  }

  tell(sentence: string): void {
    const now = this.#now();
    for (const [known, until] of this.#quietUntil) if (until <= now) this.#quietUntil.delete(known);
    // Strangers can cause faults: beyond this many different ones a minute they are not told.
    if (this.#quietUntil.has(sentence) || this.#quietUntil.size >= FAULTS_A_MINUTE) return;
    this.#quietUntil.set(sentence, now + QUIET_MS);
    this.#log(sentence);
  }

  tellError(error: unknown): void {
    this.tell(error instanceof Error ? error.message : String(error));
  }
}
