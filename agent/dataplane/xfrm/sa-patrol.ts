const EVERY_MS = 1_000;
const AT_ONCE = 256;

/**
 * Finds out what is gone without a word: the kernel tells of an SA that nobody has any more only when a packet is to go out through it. All are looked at in turn, 256 a second. What is
 * missing is looked at once more a second later, for word of its end may be under way.
 */
export class SaPatrol<Sa> {
  readonly #all: () => Iterable<Sa>;
  readonly #isThere: (sa: Sa) => boolean;
  readonly #gone: (sa: Sa) => void;
  /** Of this round; the next one is the last. */
  #rest: Sa[] = [];
  #missing = new Set<Sa>();
  #timer: NodeJS.Timeout | null = null;

  /** `isThere`: also of what is not wanted any more. */
  constructor(all: () => Iterable<Sa>, isThere: (sa: Sa) => boolean, gone: (sa: Sa) => void) {
    this.#all = all;
    this.#isThere = isThere;
    this.#gone = gone;
  }

  /** There is something to look at; it ends by itself when there is nothing. */
  begin(): void {
    this.#timer ??= setTimeout(() => this.#turn(), EVERY_MS).unref();
  }

  clear(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    this.#rest = [];
    this.#missing.clear();
  }

  #turn(): void {
    this.#timer = null;
    const missed = this.#missing;
    this.#missing = new Set();
    for (const sa of missed) if (!this.#isThere(sa)) this.#gone(sa);
    if (this.#rest.length === 0) this.#rest = [...this.#all()];
    const looked = this.#rest.splice(-AT_ONCE);
    for (const sa of looked) if (!missed.has(sa) && !this.#isThere(sa)) this.#missing.add(sa);
    if (looked.length > 0) this.begin();
  }
}
