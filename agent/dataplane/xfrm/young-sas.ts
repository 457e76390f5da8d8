const SHORTEST_MS = 20;
const LONGEST_MS = 1_000;
/** An SA is looked at again after this share of its age. */
const SHARE_OF_AGE = 1 / 8;
const AT_ONCE = 256;

/**
 * Inbound SAs that have passed nothing yet. The kernel does not tell of the first packet, so they are looked at: every 20 ms in the first 160 ms, then each
 * time they are an eighth older, every second from 8 s on, at most 256 at a time.
 */
export class YoungSas {
  readonly #isUsed: (spi: number) => boolean | null;
  readonly #waiting = new Map<number, { readonly since: number; due: number }>();
  #timer: NodeJS.Timeout | null = null;

  /** `isUsed` reports the first packet itself; null: the SA is gone. */
  constructor(isUsed: (spi: number) => boolean | null) {
    this.#isUsed = isUsed;
  }

  add(spi: number): void {
    const now = performance.now();
    this.#waiting.set(spi, { since: now, due: now + SHORTEST_MS });
    this.#arm(SHORTEST_MS);
  }

  delete(spi: number): void {
    this.#waiting.delete(spi);
  }

  clear(): void {
    this.#waiting.clear();
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }

  #arm(delay: number): void {
    this.#timer ??= setTimeout(() => this.#look(), delay).unref();
  }

  #look(): void {
    this.#timer = null;
    const now = performance.now();
    let looked = 0;
    let next = now + LONGEST_MS;
    for (const [spi, waiting] of [...this.#waiting]) {
      if (waiting.due <= now && looked < AT_ONCE) {
        looked++;
        if (this.#isUsed(spi) !== false) {
          this.#waiting.delete(spi);
          continue;
        }
        waiting.due = now + Math.min(LONGEST_MS, Math.max(SHORTEST_MS, (now - waiting.since) * SHARE_OF_AGE));
      }
      next = Math.min(next, waiting.due);
    }
    if (this.#waiting.size > 0) this.#arm(Math.max(SHORTEST_MS, next - now));
  }
}
