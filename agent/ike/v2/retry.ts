import type { Instant } from "../endpoint-types.ts";
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
