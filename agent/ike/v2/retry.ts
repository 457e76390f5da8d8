import type { Instant } from "../endpoint-types.ts";
import type { Link } from "../ike-sa.ts";
import { randomShare, type Turn } from "../turn.ts";

/*
 * When an exchange that the peer refused is tried again. Both ends may have refused each other for the same collision, so the
 * pause is random: the one that is earlier gets through (RFC 7296 §2.25).
 */
const TEMPORARY_MS = 1_000;
const REFUSED_MS = 30_000;

export function temporaryRetryAt(turn: Turn): Instant {
  return turn.now + TEMPORARY_MS * (1 + 2 * randomShare(turn));
}

export function retryAfterRefusal(turn: Turn): Instant {
  return turn.now + REFUSED_MS * (1 + randomShare(turn));
}

/** The link's next attempt at what it lacks is not before this; a link that comes up sets it back. */
export function postpone(turn: Turn, link: Link): void {
  link.retryAt = turn.now + link.retryDelayMs * (1 + 0.25 * randomShare(turn));
  link.retryDelayMs = Math.min(link.retryDelayMs * 2, turn.engine.options.retryMaxMs);
}
