import type { EspSpi } from "./ikev2/message-types.ts";
import { readU32, writeU32 } from "./octets.ts";

/*
 * ESP (RFC 4303 §2): 0 SPI (4) · 4 sequence number, low 32 bits (4) · IV · { payload · padding 1,2,3… · pad length (1) ·
 * next header (1) } · ICV. What is in braces is encrypted.
 */
export const ESP_HEADER_LENGTH = 8;
export const ESP_TRAILER_LENGTH = 2;

/** Next header values of tunnel mode, and the dummy packet of RFC 4303 §2.6. */
export const NextHeader = { IPV4: 4, IPV6: 41, NONE: 59 } as const;

/** The caller has at least 8 octets from `offset`. */
export function espSpi(bytes: Uint8Array, offset: number): EspSpi {
  return readU32(bytes, offset) as EspSpi;
}

/** The low 32 bits of the sequence number. The caller has at least 8 octets from `offset`. */
export function espSequence(bytes: Uint8Array, offset: number): number {
  return readU32(bytes, offset + 4);
}

export function writeEspHeader(bytes: Uint8Array, offset: number, spi: EspSpi, sequenceLow: number): void {
  writeU32(bytes, offset, spi);
  writeU32(bytes, offset + 4, sequenceLow);
}

/** Padding so that payload, padding and trailer are a multiple of `alignment`: the cipher's block, and 4 at least (§2.4). */
export function padLengthFor(payloadLength: number, alignment: number): number {
  const over = (payloadLength + ESP_TRAILER_LENGTH) % alignment;
  return over === 0 ? 0 : alignment - over;
}

/** Writes padding and trailer behind the payload; returns the offset behind them. */
export function writeEspTrailer(bytes: Uint8Array, payloadEnd: number, padLength: number, nextHeader: number): number {
  for (let index = 0; index < padLength; index++) bytes[payloadEnd + index] = index + 1;
  bytes[payloadEnd + padLength] = padLength;
  bytes[payloadEnd + padLength + 1] = nextHeader;
  return payloadEnd + padLength + ESP_TRAILER_LENGTH;
}

/**
 * Where the payload ends in decrypted `bytes[start, end)`, or -1 when the padding does not fit or is not 1, 2, 3 …
 * (RFC 4303 §2.4 says to inspect it). The next header is the octet at `end - 1`.
 */
export function espPayloadEnd(bytes: Uint8Array, start: number, end: number): number {
  if (end - start < ESP_TRAILER_LENGTH) return -1;
  const padLength = bytes[end - 2]!;
  const payloadEnd = end - ESP_TRAILER_LENGTH - padLength;
  if (payloadEnd < start) return -1;
  for (let index = 0; index < padLength; index++) if (bytes[payloadEnd + index] !== index + 1) return -1;
  return payloadEnd;
}
