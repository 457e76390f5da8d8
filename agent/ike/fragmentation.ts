import type { PayloadOf } from "../wire/ikev2/message-types.ts";
import { invalidSyntax } from "../wire/ikev2/protocol-error.ts";
import { concatOctets } from "../wire/octets.ts";

/*
 * IKE fragmentation (RFC 7383): a message too long for the path is cut before encryption, and each fragment is a protected
 * message of its own under the same message id.
 */

/** Largest IKE message that we send whole unless told otherwise: 1280 less IPv6, UDP and the non-ESP marker (RFC 7383 §2.5.1). */
export const LARGEST_MESSAGE = 1228;
/** A message of 64 fragments has some 75 kB: more than any certificate chain that we accept, and a bound on memory. */
const MOST_FRAGMENTS = 64;

/** The one message that is being put together in one direction; a fragment of a newer one replaces it. */
export interface Reassembly {
  messageId: number;
  isResponse: boolean;
  total: number;
  firstPayload: number;
  /** None while nothing is being put together, which is nearly always. */
  parts: Map<number, Uint8Array> | null;
}

export function newReassembly(): Reassembly {
  return { messageId: -1, isResponse: false, total: 0, firstPayload: 0, parts: null };
}

/** Cuts `plain` into parts of at most `partOctets`. Views of `plain`. */
export function cutFragments(plain: Uint8Array, partOctets: number): Uint8Array[] {
  const parts: Uint8Array[] = [];
  for (let at = 0; at < plain.length; at += partOctets) parts.push(plain.subarray(at, at + partOctets));
  return parts;
}

/** Throws INVALID_SYNTAX for numbers that RFC 7383 §2.5 forbids, or too many. Called before decryption is spent on it. */
export function checkFragment(fragment: PayloadOf<"skf">): void {
  const { fragmentNumber, totalFragments } = fragment;
  if (fragmentNumber < 1 || fragmentNumber > totalFragments) throw invalidSyntax(`Fragment ${fragmentNumber} of ${totalFragments} cannot be.`);
  if (totalFragments > MOST_FRAGMENTS) throw invalidSyntax(`A message in ${totalFragments} fragments is more than the ${MOST_FRAGMENTS} taken here.`);
}

/**
 * Adds an authenticated fragment (its decrypted part is copied). The whole message when it was the last one missing, else null.
 * A different total restarts: larger means the sender cut anew for a smaller path, smaller is a late one (RFC 7383 §2.6).
 */
export function addFragment(
  reassembly: Reassembly,
  key: { readonly messageId: number; readonly isResponse: boolean },
  fragment: PayloadOf<"skf">,
  plain: Uint8Array,
): { readonly firstPayload: number; readonly bytes: Uint8Array } | null {
  const isSame = reassembly.messageId === key.messageId && reassembly.isResponse === key.isResponse;
  if (isSame && fragment.totalFragments < reassembly.total) return null;
  if (!isSame || fragment.totalFragments > reassembly.total) {
    reassembly.messageId = key.messageId;
    reassembly.isResponse = key.isResponse;
    reassembly.total = fragment.totalFragments;
    reassembly.parts = null;
  }
  if (fragment.fragmentNumber === 1) reassembly.firstPayload = fragment.firstPayload;
  reassembly.parts ??= new Map();
  reassembly.parts.set(fragment.fragmentNumber, plain.slice());
  if (reassembly.parts.size < reassembly.total) return null;
  const parts: Uint8Array[] = [];
  for (let number = 1; number <= reassembly.total; number++) parts.push(reassembly.parts.get(number)!);
  Object.assign(reassembly, { messageId: -1, total: 0, parts: null });
  return { firstPayload: reassembly.firstPayload, bytes: concatOctets(parts) };
}
