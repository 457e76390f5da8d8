import { timingSafeEqual } from "node:crypto";

/**
 * Whether two strings of octets are equal, in a time that does not depend on where they differ: for authenticators, cookies and
 * everything else that a peer could guess octet by octet. Their lengths are public.
 */
export function sameSecret(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && timingSafeEqual(a, b);
}
