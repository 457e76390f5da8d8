import { randomBytes } from "node:crypto";
import type { Instant, RandomSource } from "../ike/endpoint-types.ts";

/** The time and chance that the engine is given. */
export interface Clock {
  /** Milliseconds since 1970, never running backwards. */
  now(): Instant;
}

/**
 * Wall-clock time at start plus the monotonic time since: an administrator or NTP who sets the clock must not make every SA
 * rekey or expire at once.
 */
export function createSystemClock(): Clock {
  const startedAt = Date.now();
  const origin = performance.now();
  return { now: () => Math.floor(startedAt + (performance.now() - origin)) };
}

export const systemRandom: RandomSource = {
  bytes: (length) => new Uint8Array(randomBytes(length)),
};
