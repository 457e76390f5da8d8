import type { PayloadOf } from "./message-types.ts";
import { requireOctets } from "./protocol-error.ts";

/* Certificate payload (RFC 7296 §3.6): 0 encoding · 1 certificate data */

/** Throws IkeProtocolError INVALID_SYNTAX. */
export function parseCert(body: Uint8Array): PayloadOf<"cert"> {
  requireOctets(body, 1, "A Certificate payload");
  return { kind: "cert", encoding: body[0]!, data: body.subarray(1) };
}

export function serializeCert(payload: PayloadOf<"cert">): Uint8Array {
  const body = new Uint8Array(1 + payload.data.length);
  body[0] = payload.encoding;
  body.set(payload.data, 1);
  return body;
}
