import { TooMany } from "./errors.ts";

/** So often and no oftener within a time that slides, for each user; of this process alone. */
export class RateBound {
  readonly #most: number;
  readonly #milliseconds: number;
  readonly #taken = new Map<string, number[]>();

  constructor({ most, milliseconds }: { readonly most: number; readonly milliseconds: number }) {
    this.#most = most;
    this.#milliseconds = milliseconds;
  }

  /** Throws TooMany with the seconds to wait. */
  take(userId: string, now: number): void {
    const recent = (this.#taken.get(userId) ?? []).filter((at) => at > now - this.#milliseconds);
    const oldest = recent[0];
    if (oldest !== undefined && recent.length >= this.#most)
      throw new TooMany(
        `This was asked for ${recent.length} times within ${this.#milliseconds / 1_000} s. Try again in ${Math.ceil((oldest + this.#milliseconds - now) / 1_000)} s.`,
      );
    this.#taken.set(userId, [...recent, now]);
  }
}
