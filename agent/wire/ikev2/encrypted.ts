import { NotifyType } from "../iana.ts";
import { readU16, writeU16 } from "../octets.ts";
import type { PayloadOf } from "./message-types.ts";
import { IkeProtocolError, requireOctets } from "./protocol-error.ts";

/*
 * Encrypted payload (RFC 7296 §3.14): IV · ciphertext · ICV, whose lengths only the cipher knows.
 * Encrypted Fragment payload (RFC 7383 §2.5): 0 fragment number (2) · 2 total fragments (2) · 4 IV · ciphertext · ICV
 * The next-payload field of either names the first payload inside; in fragments after the first it is 0.
 */
export const FRAGMENT_FIXED = 4;

export function parseSk(firstPayload: number, body: Uint8Array): PayloadOf<"sk"> {
  return { kind: "sk", firstPayload, body };
}

/** Throws IkeProtocolError INVALID_SYNTAX; with disposition `discard` for impossible fragment numbers (RFC 7383 §2.6). */
export function parseSkf(firstPayload: number, body: Uint8Array): PayloadOf<"skf"> {
  requireOctets(body, FRAGMENT_FIXED, "An Encrypted Fragment payload");
  const fragmentNumber = readU16(body, 0);
  const totalFragments = readU16(body, 2);
  if (fragmentNumber === 0 || fragmentNumber > totalFragments) {
    throw new IkeProtocolError(NotifyType.INVALID_SYNTAX, "discard", `There is no fragment ${fragmentNumber} of ${totalFragments}.`);
  }
  return { kind: "skf", firstPayload, fragmentNumber, totalFragments, body: body.subarray(FRAGMENT_FIXED) };
}

export function serializeSkf(payload: PayloadOf<"skf">): Uint8Array {
  const body = new Uint8Array(FRAGMENT_FIXED + payload.body.length);
  writeU16(body, 0, payload.fragmentNumber);
  writeU16(body, 2, payload.totalFragments);
  body.set(payload.body, FRAGMENT_FIXED);
  return body;
}
