// Imported, because the global one is a getter, which costs a call of a function each time.
import { performance } from "node:perf_hooks";
import { type LifetimeState, lifetimeState } from "../../ipsec/lifetime.ts";
import type { SaLifetimes } from "../../ipsec/security-association.ts";
import type { CounterTable } from "./counters.ts";

const NONE = Number.POSITIVE_INFINITY;

/**
 * How much of its life an SA has used (RFC 4301 §4.4.2.1): octets of inner packets, packets, and time by a clock that is never set. What it has used
 * stands in its row of counters, where a packet costs two additions and two comparisons (`CounterTable.use`); only when a limit is reached is it looked at which.
 */
export class SaLifetime {
  #state: LifetimeState = "live";
  #nextAt = NONE;
  readonly #counters: CounterTable;
  readonly #row: number;
  readonly #limits: { readonly [limit in keyof SaLifetimes]: number | undefined };
  readonly #installedAt: number;

  /** `now`: milliseconds of a monotonic clock, here and below. `packets`: what has passed before. */
  constructor(counters: CounterTable, row: number, limits: SaLifetimes, now: number, packets = 0) {
    this.#counters = counters;
    this.#row = row;
    // Whole SAs are passed here, and their keys must not be kept.
    const { softBytes, hardBytes, softPackets, hardPackets, softSeconds, hardSeconds } = limits;
    this.#limits = { softBytes, hardBytes, softPackets, hardPackets, softSeconds, hardSeconds };
    this.#installedAt = now;
    counters.beginLife(row, packets);
    this.#expect("soft");
  }

  /** When the next limit in time is reached; Infinity when none is. */
  get nextAt(): number {
    return this.#nextAt;
  }

  /** The limit that has been reached since the last time, once; null: none. When both were, only the hard one. */
  advance(now: number): "soft" | "hard" | null {
    const { softBytes, hardBytes, softPackets, hardPackets, softSeconds, hardSeconds } = this.#limits;
    const states = [
      lifetimeState({ soft: softBytes, hard: hardBytes }, this.#counters.livedBytes(this.#row)),
      lifetimeState({ soft: softPackets, hard: hardPackets }, this.#counters.livedPackets(this.#row)),
      lifetimeState({ soft: softSeconds, hard: hardSeconds }, (now - this.#installedAt) / 1_000),
    ];
    const state = states.includes("hard") ? "hard" : states.includes("soft") ? "soft" : "live";
    if (state === "live" || state === this.#state || this.#state === "hard") return null;
    this.#state = state;
    if (state === "soft") this.#expect("hard");
    else this.#end();
    return state;
  }

  /** A hard limit below its soft one, or without one, must not be missed while the soft one is awaited. */
  #expect(next: "soft" | "hard"): void {
    const { softBytes, hardBytes, softPackets, hardPackets, softSeconds, hardSeconds } = this.#limits;
    const limit = (soft = NONE, hard = NONE) => (next === "hard" ? hard : Math.min(soft, hard));
    this.#counters.limitLife(this.#row, limit(softPackets, hardPackets), limit(softBytes, hardBytes));
    this.#nextAt = this.#installedAt + 1_000 * limit(softSeconds, hardSeconds);
  }

  #end(): void {
    this.#counters.endLife(this.#row);
    this.#nextAt = NONE;
  }
}

/** When a worker that blocks in poll must look at its SAs' lifetimes again. */
export class LifetimeTimer<Sa extends { readonly lifetime: SaLifetime }> {
  readonly #sas: { values(): Iterable<Sa> };
  #nextAt = NONE;

  constructor(sas: { values(): Iterable<Sa> }) {
    this.#sas = sas;
  }

  /** For a new SA. One that goes needs nothing: at worst there is one look too many. */
  watch(sa: Sa): void {
    this.#nextAt = Math.min(this.#nextAt, sa.lifetime.nextAt);
  }

  /** For poll: milliseconds, rounded up; -1: for ever. */
  timeoutMs(): number {
    return this.#nextAt === NONE ? -1 : Math.min(2 ** 31 - 1, Math.max(0, Math.ceil(this.#nextAt - performance.now())));
  }

  /** Calls `reached` with each SA that may have reached a limit in time. */
  run(reached: (sa: Sa) => void): void {
    if (this.#nextAt === NONE || performance.now() < this.#nextAt) return;
    this.#nextAt = NONE;
    for (const sa of this.#sas.values()) {
      if (sa.lifetime.nextAt <= performance.now()) reached(sa);
      this.watch(sa);
    }
  }
}
