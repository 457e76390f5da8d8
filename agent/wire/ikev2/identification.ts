import type { PayloadOf } from "./message-types.ts";
import { requireOctets } from "./protocol-error.ts";

/* Identification payloads (RFC 7296 §3.5): 0 ID type · 1 reserved (3) · 4 identification data */
const FIXED = 4;

/** Throws IkeProtocolError INVALID_SYNTAX. */
export function parseIdentification(kind: "idi" | "idr", body: Uint8Array): PayloadOf<"idi" | "idr"> {
  requireOctets(body, FIXED, "An Identification payload");
  return { kind, idType: body[0]!, data: body.subarray(FIXED) };
}

/** The body without the generic header: also what the AUTH payload signs, as RestOfIDPayload (RFC 7296 §2.15). */
export function serializeIdentification(payload: Pick<PayloadOf<"idi" | "idr">, "idType" | "data">): Uint8Array {
  const body = new Uint8Array(FIXED + payload.data.length);
  body[0] = payload.idType;
  body.set(payload.data, FIXED);
  return body;
}
