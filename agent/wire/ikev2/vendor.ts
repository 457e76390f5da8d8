import type { PayloadOf } from "./message-types.ts";

/* Vendor ID payload (RFC 7296 §3.12): nothing but the identifier. */

export function parseVendor(body: Uint8Array): PayloadOf<"vendor"> {
  return { kind: "vendor", data: body };
}

export function serializeVendor(payload: PayloadOf<"vendor">): Uint8Array {
  return payload.data;
}
