import { readU32 } from "./octets.ts";

/*
 * UDP encapsulation on port 4500 (RFC 3948 §2): ESP as it is (its SPI is never 0), IKE behind four zero octets, and a
 * keepalive of the one octet 0xff.
 */
export const NON_ESP_MARKER_LENGTH = 4;

const ESP_MINIMUM = 8;
const KEEPALIVE_OCTET = 0xff;

export type EncapsulatedKind = "ike" | "esp" | "keepalive" | "invalid";

/** What the datagram `bytes[start, end)` is. `invalid`: too short for any; dropped. */
export function classifyEncapsulated(bytes: Uint8Array, start = 0, end = bytes.length): EncapsulatedKind {
  const length = end - start;
  if (length === 1 && bytes[start] === KEEPALIVE_OCTET) return "keepalive";
  if (length < NON_ESP_MARKER_LENGTH) return "invalid";
  if (readU32(bytes, start) === 0) return "ike";
  return length < ESP_MINIMUM ? "invalid" : "esp";
}

/** A new array: the marker and the message. */
export function addNonEspMarker(message: Uint8Array): Uint8Array {
  const datagram = new Uint8Array(NON_ESP_MARKER_LENGTH + message.length);
  datagram.set(message, NON_ESP_MARKER_LENGTH);
  return datagram;
}

/** The octets of a keepalive (RFC 3948 §2.3). A new array each time, because an array cannot be frozen. */
export function natKeepalive(): Uint8Array {
  return Uint8Array.of(KEEPALIVE_OCTET);
}
