/*
 * Lifetimes of SAs (RFC 4301 §4.4.2.1, RFC 7296 §2.8): at the soft limit a successor is negotiated, at the hard limit the SA
 * goes. Units are the caller's: seconds, octets or packets.
 */

export interface LifetimeShares {
  /** Share of the hard limit that always remains after the soft limit, 0 to below 1: the time a rekey may take. */
  readonly margin: number;
  /** Share of the hard limit by which the soft limit is brought forward at random, so that links do not rekey in step. */
  readonly jitter: number;
}

export interface LifetimeLimits {
  /** Undefined: no limit. */
  readonly soft?: number | undefined;
  readonly hard?: number | undefined;
}

export type LifetimeState = "live" | "soft" | "hard";

/**
 * The soft limit that belongs to a hard one. `random` is uniform in [0, 1) and comes from the caller. Never below 0; whole if
 * `hard` is, rounded down. Throws RangeError for shares that leave no life before the soft limit.
 */
export function softLifetime(hard: number, shares: LifetimeShares, random: number): number {
  const { margin, jitter } = shares;
  if (!(margin >= 0 && jitter >= 0 && margin + jitter < 1)) throw new RangeError(`Margin ${margin} and jitter ${jitter} leave nothing of the lifetime.`);
  return Math.floor(hard * (1 - margin - jitter * random));
}

/** Where an SA stands that has used up `used` of its limits; a limit that is reached counts as passed. */
export function lifetimeState(limits: LifetimeLimits, used: number): LifetimeState {
  if (limits.hard !== undefined && used >= limits.hard) return "hard";
  if (limits.soft !== undefined && used >= limits.soft) return "soft";
  return "live";
}

/** The most packets that one outbound SA may send: its sequence number must not cycle (RFC 4303 §3.3.3). */
export function sequenceNumberLimit(extendedSequenceNumbers: boolean): number {
  return extendedSequenceNumbers ? Number.MAX_SAFE_INTEGER : 2 ** 32 - 1;
}
