/** Work that is done at once when it is asked for, and so often at most: what is asked for within the pause is done once, at its end. */
export class Paced {
  readonly #work: () => void;
  readonly #pauseMs: number;
  #timer: NodeJS.Timeout | null = null;
  #isAskedAgain = false;

  constructor(work: () => void, pauseMs: number) {
    this.#work = work;
    this.#pauseMs = pauseMs;
  }

  ask(): void {
    if (this.#timer !== null) {
      this.#isAskedAgain = true;
      return;
    }
    this.#work();
    this.#timer = setTimeout(() => this.#rest(), this.#pauseMs).unref();
  }

  /** Nothing is asked for any more. */
  clear(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    this.#isAskedAgain = false;
  }

  #rest(): void {
    this.#timer = null;
    if (!this.#isAskedAgain) return;
    this.#isAskedAgain = false;
    this.ask();
  }
}
