import { randomBytes, randomFillSync } from "node:crypto";
import type { Instant, RandomSource } from "../ike/endpoint-types.ts";

/** The time and chance that the engine is given. */
export interface Clock {
  /** Milliseconds since 1970, never running backwards. */
  now(): Instant;
  /** What the machine's clock says, which may be set at any time: what certificates are judged by. */
  wallNow(): Instant;
}

/**
 * Wall-clock time at start plus the monotonic time since: an administrator or NTP who sets the clock must not make every SA
 * rekey or expire at once. Certificates follow the clock all the same: it may have been wrong until then.
 */
export function createSystemClock(): Clock {
  const startedAt = Date.now();
  const origin = performance.now();
  return { now: () => Math.floor(startedAt + (performance.now() - origin)), wallNow: () => Date.now() };
}

/** One call of the generator for many small values: a handshake asks for a dozen. What has been given out is wiped. */
const POOL_OCTETS = 4_096;
const pool = new Uint8Array(POOL_OCTETS);
let left = 0;

export const systemRandom: RandomSource = {
  bytes: (length) => {
    if (length > POOL_OCTETS / 8) return new Uint8Array(randomBytes(length));
    if (length > left) {
      randomFillSync(pool);
      left = POOL_OCTETS;
    }
    left -= length;
    const given = pool.slice(left, left + length);
    pool.fill(0, left, left + length);
    return given;
  },
};
