import { NotifyType, PayloadType } from "../../wire/iana.ts";
import { readU16 } from "../../wire/octets.ts";

/*
 * The octets of a traced message, so that it can be decoded again elsewhere. What is or may be key material is cut out and its
 * length kept: nonces, key exchange values, AUTH data, EAP, configuration payloads, unknown payloads, and the data of every
 * notify that is not known to be harmless (cookies, tickets and tokens come in notifies). Names, proposals, selectors,
 * certificates and error notifies stay.
 */

/** `octets`: hexadecimal; `(12)` stands for 12 octets that were cut out. */
export interface TracedOctets {
  readonly firstPayload: number;
  readonly octets: string;
}

/** Beyond this a message is not kept: the trace is bounded, and IKE messages are rarely longer. */
export const MOST_TRACED_OCTETS = 8_192;

const GENERIC_HEADER = 4;

/** Null for a message that is too long. `bytes`: the payloads in the clear, without the IKE header; they may be malformed. */
export function traceOctets(firstPayload: number, bytes: Uint8Array): TracedOctets | null {
  if (bytes.length > MOST_TRACED_OCTETS) return null;
  let octets = "";
  let type = firstPayload;
  let at = 0;
  while (type !== PayloadType.NONE && at + GENERIC_HEADER <= bytes.length) {
    const length = readU16(bytes, at + 2);
    // Where the chain breaks nobody knows what the rest is: it is cut out.
    if (length < GENERIC_HEADER || at + length > bytes.length) {
      octets += hex(bytes.subarray(at, at + GENERIC_HEADER)) + cut(bytes.length - at - GENERIC_HEADER);
      return { firstPayload, octets };
    }
    const body = bytes.subarray(at + GENERIC_HEADER, at + length);
    const kept = Math.min(keptOf(type, body), body.length);
    octets += hex(bytes.subarray(at, at + GENERIC_HEADER + kept)) + cut(body.length - kept);
    type = bytes[at]!;
    at += length;
  }
  return { firstPayload, octets: octets + cut(bytes.length - at) };
}

/** The octets, zero where they were cut out. Null for a text that is none, or too long. */
export function readTracedOctets({ octets }: TracedOctets): Uint8Array | null {
  const bytes: number[] = [];
  for (const [part, count] of octets.matchAll(/\(([0-9]{1,5})\)|[0-9a-f]{2}|[^]/g)) {
    if (count !== undefined) for (let left = Math.min(Number(count), MOST_TRACED_OCTETS + 1); left > 0; left--) bytes.push(0);
    else if (part.length === 2) bytes.push(Number.parseInt(part, 16));
    else return null;
    if (bytes.length > MOST_TRACED_OCTETS) return null;
  }
  return Uint8Array.from(bytes);
}

/** How many octets of a payload's body are kept, from its start. */
function keptOf(type: number, body: Uint8Array): number {
  switch (type) {
    case PayloadType.SA:
    case PayloadType.IDi:
    case PayloadType.IDr:
    case PayloadType.CERT:
    case PayloadType.CERTREQ:
    case PayloadType.DELETE:
    case PayloadType.VENDOR:
    case PayloadType.TSi:
    case PayloadType.TSr:
      return body.length;
    case PayloadType.KE:
    case PayloadType.AUTH:
      // Method and reserved octets.
      return 4;
    case PayloadType.NOTIFY:
      return keptOfNotify(body);
    default:
      return 0;
  }
}

/** Protocol, SPI size, type and SPI; the data only of errors and of what is known to be harmless. */
function keptOfNotify(body: Uint8Array): number {
  if (body.length < 4) return body.length;
  const type = readU16(body, 2);
  return type < 16_384 || HARMLESS.has(type) ? body.length : 4 + body[1]!;
}

const HARMLESS: ReadonlySet<number> = new Set([
  NotifyType.SIGNATURE_HASH_ALGORITHMS,
  NotifyType.NAT_DETECTION_SOURCE_IP,
  NotifyType.NAT_DETECTION_DESTINATION_IP,
]);

function cut(length: number): string {
  return length > 0 ? `(${length})` : "";
}

/** Every handshake passes here: a loop over octets would cost as much as its cryptography. */
function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("hex");
}
