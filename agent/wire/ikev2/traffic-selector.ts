import { TrafficSelectorType } from "../iana.ts";
import { concatOctets, readU16, writeU16 } from "../octets.ts";
import type { PayloadOf, WireTrafficSelector } from "./message-types.ts";
import { invalidSyntax, requireOctets } from "./protocol-error.ts";

/*
 * Traffic Selector payloads (RFC 7296 §3.13): 0 number of selectors · 1 reserved (3) · 4 selectors
 *   selector: 0 type · 1 IP protocol · 2 length (2) · 4 start port (2) · 6 end port (2) · 8 start address · end address
 */
const FIXED = 4;
const SELECTOR_HEADER = 4;
const SELECTOR_FIXED = 8;
const EMPTY = new Uint8Array(0);

/** Throws IkeProtocolError INVALID_SYNTAX, also for a range that ends before it starts. */
export function parseTrafficSelectors(kind: "tsi" | "tsr", body: Uint8Array): PayloadOf<"tsi" | "tsr"> {
  requireOctets(body, FIXED, "A Traffic Selector payload");
  const count = body[0]!;
  if (count === 0) throw invalidSyntax("A Traffic Selector payload holds no selector.");
  const selectors: WireTrafficSelector[] = [];
  let rest = body.subarray(FIXED);
  for (let index = 0; index < count; index++) {
    requireOctets(rest, SELECTOR_HEADER, "A traffic selector");
    const length = readU16(rest, 2);
    if (length < SELECTOR_HEADER) throw invalidSyntax(`A traffic selector says that it has ${length} octets.`);
    requireOctets(rest, length, "A traffic selector");
    selectors.push(parseSelector(rest.subarray(0, length)));
    rest = rest.subarray(length);
  }
  if (rest.length > 0) throw invalidSyntax("A Traffic Selector payload has octets after its last selector.");
  return { kind, selectors };
}

export function serializeTrafficSelectors(payload: PayloadOf<"tsi" | "tsr">): Uint8Array {
  const body = concatOctets([new Uint8Array(FIXED), ...payload.selectors.map(serializeSelector)]);
  body[0] = payload.selectors.length;
  return body;
}

function parseSelector(bytes: Uint8Array): WireTrafficSelector {
  const type = bytes[0]!;
  const ipProtocol = bytes[1]!;
  const addressLength = addressLengthOf(type);
  if (addressLength === undefined) {
    return { type, ipProtocol, startPort: 0, endPort: 0, startAddress: bytes.subarray(SELECTOR_HEADER), endAddress: EMPTY };
  }
  const length = SELECTOR_FIXED + 2 * addressLength;
  if (bytes.length !== length) throw invalidSyntax(`A traffic selector of type ${type} has ${bytes.length} octets instead of ${length}.`);
  const startPort = readU16(bytes, 4);
  const endPort = readU16(bytes, 6);
  const startAddress = bytes.subarray(SELECTOR_FIXED, SELECTOR_FIXED + addressLength);
  const endAddress = bytes.subarray(SELECTOR_FIXED + addressLength);
  // 65535 to 0 is OPAQUE (RFC 4301 §4.4.1.1), the one range that may run backwards.
  const isOpaque = startPort === 65535 && endPort === 0;
  if (startPort > endPort && !isOpaque) throw invalidSyntax("A traffic selector's port range ends before it starts.");
  if (isAfter(startAddress, endAddress)) throw invalidSyntax("A traffic selector's address range ends before it starts.");
  return { type, ipProtocol, startPort, endPort, startAddress, endAddress };
}

function isAfter(start: Uint8Array, end: Uint8Array): boolean {
  for (let index = 0; index < start.length; index++) {
    if (start[index] !== end[index]) return start[index]! > end[index]!;
  }
  return false;
}

function serializeSelector(selector: WireTrafficSelector): Uint8Array {
  const fixed = addressLengthOf(selector.type) === undefined ? SELECTOR_HEADER : SELECTOR_FIXED;
  const bytes = concatOctets([new Uint8Array(fixed), selector.startAddress, selector.endAddress]);
  bytes[0] = selector.type;
  bytes[1] = selector.ipProtocol;
  writeU16(bytes, 2, bytes.length);
  if (fixed === SELECTOR_FIXED) {
    writeU16(bytes, 4, selector.startPort);
    writeU16(bytes, 6, selector.endPort);
  }
  return bytes;
}

function addressLengthOf(type: number): 4 | 16 | undefined {
  if (type === TrafficSelectorType.IPV4_ADDR_RANGE) return 4;
  if (type === TrafficSelectorType.IPV6_ADDR_RANGE) return 16;
  return undefined;
}
