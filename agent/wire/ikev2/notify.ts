import { readU16, writeU16 } from "../octets.ts";
import type { PayloadOf } from "./message-types.ts";
import { requireOctets } from "./protocol-error.ts";

/* Notify payload (RFC 7296 §3.10): 0 protocol · 1 SPI size · 2 type (2) · 4 SPI · then notification data */
const FIXED = 4;

/** Throws IkeProtocolError INVALID_SYNTAX. */
export function parseNotify(body: Uint8Array): PayloadOf<"notify"> {
  requireOctets(body, FIXED, "A Notify payload");
  const dataAt = FIXED + body[1]!;
  requireOctets(body, dataAt, "A Notify payload with its SPI");
  return { kind: "notify", protocolId: body[0]!, spi: body.subarray(FIXED, dataAt), type: readU16(body, 2), data: body.subarray(dataAt) };
}

export function serializeNotify(payload: PayloadOf<"notify">): Uint8Array {
  const dataAt = FIXED + payload.spi.length;
  const body = new Uint8Array(dataAt + payload.data.length);
  body[0] = payload.protocolId;
  body[1] = payload.spi.length;
  writeU16(body, 2, payload.type);
  body.set(payload.spi, FIXED);
  body.set(payload.data, dataAt);
  return body;
}
