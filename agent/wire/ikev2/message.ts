import { NotifyType, PayloadType } from "../iana.ts";
import { readU16, writeU16 } from "../octets.ts";
import { parseAuth, serializeAuth } from "./auth.ts";
import { parseCert, serializeCert } from "./cert.ts";
import { parseCertreq, serializeCertreq } from "./certreq.ts";
import { parseDelete, serializeDelete } from "./delete.ts";
import { FRAGMENT_FIXED, parseSk, parseSkf, serializeSkf } from "./encrypted.ts";
import { HEADER_LENGTH, parseHeader, writeHeader } from "./header.ts";
import { parseIdentification, serializeIdentification } from "./identification.ts";
import { parseKe, serializeKe } from "./ke.ts";
import type { Header, Message, Payload, PayloadOf } from "./message-types.ts";
import { parseNonce, serializeNonce } from "./nonce.ts";
import { parseNotify, serializeNotify } from "./notify.ts";
import { IkeProtocolError, invalidSyntax, requireOctets } from "./protocol-error.ts";
import { parseSa, serializeSa } from "./sa.ts";
import { parseTrafficSelectors, serializeTrafficSelectors } from "./traffic-selector.ts";
import { parseVendor, serializeVendor } from "./vendor.ts";

/*
 * The chain of payloads (RFC 7296 §3.2): 0 type of the NEXT payload · 1 critical bit and reserved · 2 length with this header (2).
 * Chaining, the critical bit and lengths are dealt with here and nowhere else.
 */
const GENERIC_HEADER = 4;
const CRITICAL = 0x80;
const MAXIMUM_PAYLOAD = 0xffff;

/**
 * One IKEv2 datagram, without the non-ESP marker. Byte arrays in the result are views of `bytes`. Throws IkeProtocolError:
 * INVALID_MAJOR_VERSION (payloads untouched; `parseHeader` gives what the answer needs), otherwise INVALID_SYNTAX.
 */
export function parseMessage(bytes: Uint8Array): Message {
  const { header, firstPayload, length } = parseHeader(bytes);
  if (header.majorVersion !== 2) {
    const disposition = header.majorVersion > 2 ? "notify" : "discard";
    throw new IkeProtocolError(NotifyType.INVALID_MAJOR_VERSION, disposition, `The peer speaks IKE version ${header.majorVersion}; this is version 2.`);
  }
  if (length !== bytes.length) throw invalidSyntax(`The header says ${length} octets; the datagram has ${bytes.length}.`);
  return { header, payloads: parseChain(firstPayload, bytes.subarray(HEADER_LENGTH)) };
}

/**
 * The decrypted contents of an SK payload (or of reassembled fragments), padding removed. `firstPayload` is that of the SK
 * payload (of fragment 1). Throws IkeProtocolError INVALID_SYNTAX, also for an encrypted payload inside.
 */
export function parsePayloads(firstPayload: number, bytes: Uint8Array): Payload[] {
  const payloads = parseChain(firstPayload, bytes);
  const last = payloads.at(-1);
  if (last?.kind === "sk" || last?.kind === "skf") throw invalidSyntax("An encrypted payload holds another one.");
  return payloads;
}

/** Null for what cannot be decoded. */
export function readablePayloads({ firstPayload, bytes }: PlainOctets): Payload[] | null {
  try {
    return parsePayloads(firstPayload, bytes);
  } catch (error) {
    if (!(error instanceof IkeProtocolError)) throw error;
    return null;
  }
}

/** A chain of payloads as octets, without the IKE header, and the type that goes into the header in front of it (0 for an empty chain). */
export interface PlainOctets {
  readonly firstPayload: number;
  readonly bytes: Uint8Array;
}

export function serializePayloads(payloads: readonly Payload[]): PlainOctets {
  const bodies = payloads.map(serializeBody);
  let length = 0;
  for (const body of bodies) length += GENERIC_HEADER + body.length;
  const bytes = new Uint8Array(length);
  let offset = 0;
  for (const [index, payload] of payloads.entries()) {
    const body = bodies[index]!;
    const isEncrypted = payload.kind === "sk" || payload.kind === "skf";
    if (isEncrypted && index !== payloads.length - 1) throw new RangeError("An encrypted payload is always the last one.");
    const next = payloads[index + 1];
    const nextType = isEncrypted ? payload.firstPayload : next === undefined ? PayloadType.NONE : payloadTypeOf(next);
    writeGenericHeader(bytes, offset, nextType, payload.kind === "unknown" && payload.critical, body.length);
    bytes.set(body, offset + GENERIC_HEADER);
    offset += GENERIC_HEADER + body.length;
  }
  const first = payloads[0];
  return { firstPayload: first === undefined ? PayloadType.NONE : payloadTypeOf(first), bytes };
}

/** A whole message in the clear, or one whose `sk`/`skf` payload already holds IV, ciphertext and ICV. A new array. */
export function serializeMessage(header: Header, payloads: readonly Payload[]): Uint8Array {
  const { firstPayload, bytes } = serializePayloads(payloads);
  const message = new Uint8Array(HEADER_LENGTH + bytes.length);
  writeHeader(message, header, firstPayload, message.length);
  message.set(bytes, HEADER_LENGTH);
  return message;
}

/** A protected message with its lengths final, waiting for the cipher. `aad` and `body` are views of `bytes`. */
export interface ProtectedFrame {
  /** The whole datagram: aad then body. An integrity algorithm that is not AEAD covers all of it but the ICV (RFC 7296 §3.14). */
  readonly bytes: Uint8Array;
  /** Header, generic header and, for SKF, the fragment numbers: additional data of an AEAD (RFC 5282 §5.1, RFC 7383 §2.5). */
  readonly aad: Uint8Array;
  /** `bodyLength` zero octets: the caller writes IV, ciphertext and ICV here. */
  readonly body: Uint8Array;
}

/** Lays out a message with one SK payload. `firstPayload` comes from `serializePayloads` of the contents. */
export function frameSk(header: Header, firstPayload: number, bodyLength: number): ProtectedFrame {
  return frame(header, PayloadType.SK, firstPayload, 0, bodyLength);
}

/**
 * A protected message as if it had never been encrypted: its header and that of the Encrypted payload with the lengths adjusted,
 * then the contents. What IKE_AUTH covers of IKE_INTERMEDIATE, the same with and without fragmentation (RFC 9242 §3.3.2).
 */
export function plainForm(header: Header, firstPayload: number, contents: Uint8Array): Uint8Array {
  const framed = frameSk(header, firstPayload, contents.length);
  framed.body.set(contents);
  return framed.bytes;
}

/** Lays out one fragment. `firstPayload` is that of the contents for fragment 1 and 0 for the others (RFC 7383 §2.5). */
export function frameSkf(
  header: Header,
  fragment: { readonly firstPayload: number; readonly fragmentNumber: number; readonly totalFragments: number },
  bodyLength: number,
): ProtectedFrame {
  const framed = frame(header, PayloadType.SKF, fragment.firstPayload, FRAGMENT_FIXED, bodyLength);
  writeU16(framed.bytes, HEADER_LENGTH + GENERIC_HEADER, fragment.fragmentNumber);
  writeU16(framed.bytes, HEADER_LENGTH + GENERIC_HEADER + 2, fragment.totalFragments);
  return framed;
}

/** Additional authenticated data of a received message: all of the datagram in front of the body of its SK or SKF payload. */
export function aadOf(datagram: Uint8Array, payload: PayloadOf<"sk" | "skf">): Uint8Array {
  return datagram.subarray(0, datagram.length - payload.body.length);
}

/** Throws UNSUPPORTED_CRITICAL_PAYLOAD with the type as its one octet of data if any payload asks for it (RFC 7296 §2.5). */
export function refuseUnknownCritical(payloads: readonly Payload[]): void {
  for (const payload of payloads) {
    if (payload.kind === "unknown" && payload.critical) {
      const sentence = `The peer insists on a payload of type ${payload.payloadType}, which is unknown here.`;
      throw new IkeProtocolError(NotifyType.UNSUPPORTED_CRITICAL_PAYLOAD, "notify", sentence, Uint8Array.of(payload.payloadType));
    }
  }
}

function parseChain(firstPayload: number, bytes: Uint8Array): Payload[] {
  const payloads: Payload[] = [];
  let type = firstPayload;
  let rest = bytes;
  while (type !== PayloadType.NONE) {
    requireOctets(rest, GENERIC_HEADER, `The header of payload type ${type}`);
    const next = rest[0]!;
    const length = readU16(rest, 2);
    if (length < GENERIC_HEADER) throw invalidSyntax(`The payload of type ${type} says that it has ${length} octets.`);
    requireOctets(rest, length, `The payload of type ${type}`);
    const critical = (rest[1]! & CRITICAL) !== 0;
    const body = rest.subarray(GENERIC_HEADER, length);
    rest = rest.subarray(length);
    payloads.push(parseBody(type, critical, next, body));
    const isEncrypted = type === PayloadType.SK || type === PayloadType.SKF;
    type = isEncrypted ? PayloadType.NONE : next;
  }
  if (rest.length > 0) throw invalidSyntax(`${rest.length} octets follow the last payload.`);
  return payloads;
}

function parseBody(type: number, critical: boolean, next: number, body: Uint8Array): Payload {
  switch (type) {
    case PayloadType.SA:
      return parseSa(body);
    case PayloadType.KE:
      return parseKe(body);
    case PayloadType.IDi:
      return parseIdentification("idi", body);
    case PayloadType.IDr:
      return parseIdentification("idr", body);
    case PayloadType.CERT:
      return parseCert(body);
    case PayloadType.CERTREQ:
      return parseCertreq(body);
    case PayloadType.AUTH:
      return parseAuth(body);
    case PayloadType.NONCE:
      return parseNonce(body);
    case PayloadType.NOTIFY:
      return parseNotify(body);
    case PayloadType.DELETE:
      return parseDelete(body);
    case PayloadType.VENDOR:
      return parseVendor(body);
    case PayloadType.TSi:
      return parseTrafficSelectors("tsi", body);
    case PayloadType.TSr:
      return parseTrafficSelectors("tsr", body);
    case PayloadType.SK:
      return parseSk(next, body);
    case PayloadType.SKF:
      return parseSkf(next, body);
    case PayloadType.CP:
      return { kind: "cp", data: body };
    case PayloadType.EAP:
      return { kind: "eap", data: body };
    default:
      return { kind: "unknown", payloadType: type, critical, data: body };
  }
}

function serializeBody(payload: Payload): Uint8Array {
  switch (payload.kind) {
    case "sa":
      return serializeSa(payload);
    case "ke":
      return serializeKe(payload);
    case "idi":
    case "idr":
      return serializeIdentification(payload);
    case "cert":
      return serializeCert(payload);
    case "certreq":
      return serializeCertreq(payload);
    case "auth":
      return serializeAuth(payload);
    case "nonce":
      return serializeNonce(payload);
    case "notify":
      return serializeNotify(payload);
    case "delete":
      return serializeDelete(payload);
    case "vendor":
      return serializeVendor(payload);
    case "tsi":
    case "tsr":
      return serializeTrafficSelectors(payload);
    case "sk":
      return payload.body;
    case "skf":
      return serializeSkf(payload);
    case "eap":
    case "cp":
    case "unknown":
      return payload.data;
    default:
      return assertNever(payload);
  }
}

const TYPE_OF_KIND = {
  sa: PayloadType.SA,
  ke: PayloadType.KE,
  idi: PayloadType.IDi,
  idr: PayloadType.IDr,
  cert: PayloadType.CERT,
  certreq: PayloadType.CERTREQ,
  auth: PayloadType.AUTH,
  nonce: PayloadType.NONCE,
  notify: PayloadType.NOTIFY,
  delete: PayloadType.DELETE,
  vendor: PayloadType.VENDOR,
  tsi: PayloadType.TSi,
  tsr: PayloadType.TSr,
  eap: PayloadType.EAP,
  cp: PayloadType.CP,
  sk: PayloadType.SK,
  skf: PayloadType.SKF,
} as const satisfies Record<Exclude<Payload["kind"], "unknown">, number>;

function payloadTypeOf(payload: Payload): number {
  return payload.kind === "unknown" ? payload.payloadType : TYPE_OF_KIND[payload.kind];
}

function writeGenericHeader(target: Uint8Array, offset: number, next: number, critical: boolean, bodyLength: number): void {
  const length = GENERIC_HEADER + bodyLength;
  if (length > MAXIMUM_PAYLOAD) throw new RangeError(`A payload of ${length} octets does not fit its length field.`);
  target[offset] = next;
  target[offset + 1] = critical ? CRITICAL : 0;
  writeU16(target, offset + 2, length);
}

function frame(header: Header, type: number, firstPayload: number, fixed: number, bodyLength: number): ProtectedFrame {
  const bodyAt = HEADER_LENGTH + GENERIC_HEADER + fixed;
  const bytes = new Uint8Array(bodyAt + bodyLength);
  writeHeader(bytes, header, type, bytes.length);
  writeGenericHeader(bytes, HEADER_LENGTH, firstPayload, false, fixed + bodyLength);
  return { bytes, aad: bytes.subarray(0, bodyAt), body: bytes.subarray(bodyAt) };
}

function assertNever(value: never): never {
  throw new TypeError(`Unreachable: ${String(value)}`);
}
