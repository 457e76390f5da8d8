import type { PayloadOf } from "./message-types.ts";
import { invalidSyntax } from "./protocol-error.ts";

/* Nonce payload (RFC 7296 §3.9): nothing but 16 to 256 octets of nonce. */
const MINIMUM = 16;
const MAXIMUM = 256;

/** Throws IkeProtocolError INVALID_SYNTAX for a nonce shorter or longer than the RFC allows. */
export function parseNonce(body: Uint8Array): PayloadOf<"nonce"> {
  if (body.length < MINIMUM || body.length > MAXIMUM) {
    throw invalidSyntax(`A nonce has ${MINIMUM} to ${MAXIMUM} octets; this one has ${body.length}.`);
  }
  return { kind: "nonce", data: body };
}

export function serializeNonce(payload: PayloadOf<"nonce">): Uint8Array {
  return payload.data;
}
