import type { Certificate } from "../../crypto/certificate.ts";
import type { Instant } from "../endpoint-types.ts";

/*
 * A certificate is looked at when its owner authenticates; an IKE SA that is only rekeyed would outlive it. So the peer is authenticated anew
 * shortly before the end of its certificate, when it may have another one, and at that end the IKE SA goes.
 */

/** The time that everything is measured by, and what the machine's clock says, which certificates go by. */
interface Clocks {
  readonly now: Instant;
  readonly wallNow: Instant;
}

/** How long before the end; of what is left a tenth, should that be less. */
const RENEW_BEFORE_MS = 600_000;
/** With less than this left it has been tried, or is not worth it. */
const LEAST_LEFT_MS = 30_000;

/** Nobody tells that the machine's clock has been set. */
const LOOK_AGAIN_MS = 3_600_000;

/** When to look whether a certificate of the path has ended; null: it has none. */
export function expiryCheckAt(path: readonly Certificate[], clocks: Clocks): Instant | null {
  const end = expiryOf(path, clocks);
  return end === null ? null : Math.min(end, clocks.now + LOOK_AGAIN_MS);
}

/** When the first of them will have ended. */
function expiryOf(path: readonly Certificate[], { now, wallNow }: Clocks): Instant | null {
  if (path.length === 0) return null;
  // Good up to and including `notAfter` (RFC 5280 §4.1.2.5).
  return now + Math.min(...path.map((one) => one.notAfter.getTime())) + 1 - wallNow;
}

/** When to authenticate the peer anew because of that. */
export function beforeExpiry(path: readonly Certificate[], clocks: Clocks): Instant | null {
  const end = expiryOf(path, clocks);
  if (end === null || end - clocks.now < LEAST_LEFT_MS) return null;
  return Math.floor(end - Math.min(RENEW_BEFORE_MS, (end - clocks.now) / 10));
}
