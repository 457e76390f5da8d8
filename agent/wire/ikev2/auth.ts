import type { PayloadOf } from "./message-types.ts";
import { requireOctets } from "./protocol-error.ts";

/* Authentication payload (RFC 7296 §3.8): 0 method · 1 reserved (3) · 4 authentication data */
const FIXED = 4;

/** Throws IkeProtocolError INVALID_SYNTAX. */
export function parseAuth(body: Uint8Array): PayloadOf<"auth"> {
  requireOctets(body, FIXED, "An Authentication payload");
  return { kind: "auth", method: body[0]!, data: body.subarray(FIXED) };
}

export function serializeAuth(payload: PayloadOf<"auth">): Uint8Array {
  const body = new Uint8Array(FIXED + payload.data.length);
  body[0] = payload.method;
  body.set(payload.data, FIXED);
  return body;
}
