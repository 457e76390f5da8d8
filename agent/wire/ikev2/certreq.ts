import type { PayloadOf } from "./message-types.ts";
import { requireOctets } from "./protocol-error.ts";

/* Certificate Request payload (RFC 7296 §3.7): 0 encoding · 1 authorities, for X.509 SHA-1 hashes of 20 octets each */

/** Throws IkeProtocolError INVALID_SYNTAX. */
export function parseCertreq(body: Uint8Array): PayloadOf<"certreq"> {
  requireOctets(body, 1, "A Certificate Request payload");
  return { kind: "certreq", encoding: body[0]!, authorities: body.subarray(1) };
}

export function serializeCertreq(payload: PayloadOf<"certreq">): Uint8Array {
  const body = new Uint8Array(1 + payload.authorities.length);
  body[0] = payload.encoding;
  body.set(payload.authorities, 1);
  return body;
}
