import { readU16, writeU16 } from "../octets.ts";
import type { PayloadOf } from "./message-types.ts";
import { requireOctets } from "./protocol-error.ts";

/* Key Exchange payload (RFC 7296 §3.4): 0 method (2) · 2 reserved (2) · 4 key exchange data */
const FIXED = 4;

/** Throws IkeProtocolError INVALID_SYNTAX. Whether the data fits the method is for the key exchange to say. */
export function parseKe(body: Uint8Array): PayloadOf<"ke"> {
  requireOctets(body, FIXED, "A Key Exchange payload");
  return { kind: "ke", method: readU16(body, 0), data: body.subarray(FIXED) };
}

export function serializeKe(payload: PayloadOf<"ke">): Uint8Array {
  const body = new Uint8Array(FIXED + payload.data.length);
  writeU16(body, 0, payload.method);
  body.set(payload.data, FIXED);
  return body;
}
