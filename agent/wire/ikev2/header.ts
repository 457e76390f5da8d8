import { NotifyType } from "../iana.ts";
import { readU32, readU64, writeU32, writeU64 } from "../octets.ts";
import type { Header, IkeSpi } from "./message-types.ts";
import { IkeProtocolError } from "./protocol-error.ts";

/*
 * IKE header (RFC 7296 §3.1):
 *   0 initiator SPI (8) · 8 responder SPI (8) · 16 next payload · 17 version (major<<4|minor) · 18 exchange type · 19 flags
 *   20 message id (4) · 24 length of the whole message (4)
 */
export const HEADER_LENGTH = 28;

const FLAG_INITIATOR = 0x08;
const FLAG_VERSION = 0x10;
const FLAG_RESPONSE = 0x20;

export interface RawHeader {
  readonly header: Header;
  readonly firstPayload: number;
  /** Length field as sent: not yet compared with the datagram. */
  readonly length: number;
}

/**
 * Reads the fixed header at the start of `bytes`, of any major version. Throws IkeProtocolError INVALID_SYNTAX with disposition
 * `discard` when there are fewer than 28 octets: there is nobody to answer.
 */
export function parseHeader(bytes: Uint8Array): RawHeader {
  if (bytes.length < HEADER_LENGTH) {
    throw new IkeProtocolError(NotifyType.INVALID_SYNTAX, "discard", `An IKE header needs ${HEADER_LENGTH} octets; the datagram has ${bytes.length}.`);
  }
  const version = bytes[17]!;
  const flags = bytes[19]!;
  return {
    header: {
      spiI: readU64(bytes, 0) as IkeSpi,
      spiR: readU64(bytes, 8) as IkeSpi,
      majorVersion: version >> 4,
      minorVersion: version & 0x0f,
      exchangeType: bytes[18]!,
      fromInitiator: (flags & FLAG_INITIATOR) !== 0,
      isResponse: (flags & FLAG_RESPONSE) !== 0,
      higherVersion: (flags & FLAG_VERSION) !== 0,
      messageId: readU32(bytes, 20),
    },
    firstPayload: bytes[16]!,
    length: readU32(bytes, 24),
  };
}

/** Writes the 28 octets into the start of `target`. `length` is that of the whole message. */
export function writeHeader(target: Uint8Array, header: Header, firstPayload: number, length: number): void {
  writeU64(target, 0, header.spiI);
  writeU64(target, 8, header.spiR);
  target[16] = firstPayload;
  target[17] = (header.majorVersion << 4) | header.minorVersion;
  target[18] = header.exchangeType;
  target[19] = (header.fromInitiator ? FLAG_INITIATOR : 0) | (header.isResponse ? FLAG_RESPONSE : 0) | (header.higherVersion ? FLAG_VERSION : 0);
  writeU32(target, 20, header.messageId);
  writeU32(target, 24, length);
}
