import type { SaKeys } from "./sa-keys.ts";
import { Encr, Integ } from "../wire/iana.ts";
import { aeadOpen, aeadSeal } from "./aead.ts";
import { CryptoError } from "./crypto-error.ts";
import type { CipherSpec } from "./encr.ts";
import { type AlgorithmUse, cipherOf, integrityOf, type PacketIntegrity, verifyPacket } from "./packet-algorithms.ts";
import { plainOpen, plainSeal } from "./plain-cipher.ts";

/**
 * ESP of one packet (RFC 4303 §2, §3.3, §3.4) in node:crypto: simple and slow. It is the reference that the fast path is tested
 * against and what the in-memory data plane runs.
 */
export interface EspPacketId {
  readonly spi: number;
  /** Low 32 bits, as on the wire. */
  readonly sequence: number;
  /** High 32 bits of an extended sequence number; undefined without ESN. */
  readonly sequenceHigh?: number;
}

/** ESP header to ICV. `payload` is the inner packet (tunnel mode) or what follows the IP header (transport mode). */
export function sealEsp(keys: SaKeys, id: EspPacketId, payload: Uint8Array, nextHeader: number, iv: Uint8Array, use: AlgorithmUse = "current"): Uint8Array {
  const { cipher, integ } = algorithms(keys, use);
  const header = espHeader(id);
  const content = withTrailer(payload, nextHeader, Math.max(4, cipher.blockOctets));
  if (integ === undefined) return join(header, iv, aeadSeal(cipher, keys.encryptionKey, join(keys.salt, iv), associatedData(header, id), content));
  const ciphertext = cipher.encr === Encr.NULL ? content : plainSeal(cipher, keys.encryptionKey, keys.salt, iv, content);
  return join(header, iv, ciphertext, integ.compute(keys.integrityKey, [header, iv, ciphertext, ...highBits(id)]));
}

/** @throws CryptoError `integrity` for a wrong ICV, `badLength` for what cannot be an ESP packet. */
export function openEsp(
  keys: SaKeys,
  packet: Uint8Array,
  sequenceHigh?: number,
  use: AlgorithmUse = "current",
): EspPacketId & { readonly payload: Uint8Array; readonly nextHeader: number } {
  const { cipher, integ } = algorithms(keys, use);
  const icvOctets = integ?.icvOctets ?? cipher.icvOctets;
  const contentAt = 8 + cipher.ivOctets;
  if (packet.length < contentAt + 4 + icvOctets) throw new CryptoError("badLength", `an ESP packet of ${packet.length} octets is too short`);
  const view = new DataView(packet.buffer, packet.byteOffset, packet.byteLength);
  const id: EspPacketId = { spi: view.getUint32(0), sequence: view.getUint32(4), ...(sequenceHigh === undefined ? {} : { sequenceHigh }) };
  const header = packet.subarray(0, 8);
  const iv = packet.subarray(8, contentAt);
  if (integ === undefined) {
    const content = aeadOpen(cipher, keys.encryptionKey, join(keys.salt, iv), associatedData(header, id), packet.subarray(contentAt));
    return { ...id, ...withoutTrailer(content) };
  }
  const ciphertext = packet.subarray(contentAt, packet.length - icvOctets);
  verifyPacket(integ, keys.integrityKey, [header, iv, ciphertext, ...highBits(id)], packet.subarray(packet.length - icvOctets));
  const content = cipher.encr === Encr.NULL ? ciphertext.slice() : plainOpen(cipher, keys.encryptionKey, keys.salt, iv, ciphertext);
  return { ...id, ...withoutTrailer(content) };
}

function algorithms(keys: SaKeys, use: AlgorithmUse): { cipher: CipherSpec; integ: PacketIntegrity | undefined } {
  const cipher = cipherOf(keys, use);
  if (cipher === undefined) throw new CryptoError("unsupported", `no ESP cipher ${keys.encr} with a key of ${keys.encryptionKey.length} octets`);
  if (cipher.icvOctets > 0) return { cipher, integ: undefined };
  const integ = keys.integ === Integ.NONE ? undefined : integrityOf(keys.integ, use);
  if (integ === undefined) throw new CryptoError("unsupported", `${cipher.keyword} needs an integrity algorithm that is supported, not ${keys.integ}`);
  return { cipher, integ };
}

function espHeader(id: EspPacketId): Uint8Array {
  const header = new Uint8Array(8);
  const view = new DataView(header.buffer);
  view.setUint32(0, id.spi);
  view.setUint32(4, id.sequence);
  return header;
}

/** RFC 4106 §5: with ESN the high half comes between SPI and low half. */
function associatedData(header: Uint8Array, id: EspPacketId): Uint8Array {
  return id.sequenceHigh === undefined ? header : join(header.subarray(0, 4), u32(id.sequenceHigh), header.subarray(4));
}

/** RFC 4303 §2.2.1: with a separate integrity algorithm the high half is hashed behind the packet. */
function highBits(id: EspPacketId): Uint8Array[] {
  return id.sequenceHigh === undefined ? [] : [u32(id.sequenceHigh)];
}

/** Padding 1, 2, 3 … (RFC 4303 §2.4), pad length and next header, up to a whole number of blocks. */
function withTrailer(payload: Uint8Array, nextHeader: number, alignment: number): Uint8Array {
  const out = new Uint8Array(Math.ceil((payload.length + 2) / alignment) * alignment);
  out.set(payload);
  const padLength = out.length - payload.length - 2;
  for (let i = 0; i < padLength; i++) out[payload.length + i] = i + 1;
  out[out.length - 2] = padLength;
  out[out.length - 1] = nextHeader;
  return out;
}

function withoutTrailer(content: Uint8Array): { payload: Uint8Array; nextHeader: number } {
  const padLength = content[content.length - 2] ?? 0;
  const end = content.length - 2 - padLength;
  if (end < 0) throw new CryptoError("badLength", `a pad length of ${padLength} is longer than the packet`);
  // RFC 4303 §2.4: the receiver should inspect it.
  for (let i = 0; i < padLength; i++) if (content[end + i] !== i + 1) throw new CryptoError("badLength", "the padding is not 1, 2, 3 …");
  return { payload: content.subarray(0, end), nextHeader: content[content.length - 1] ?? 0 };
}

function u32(value: number): Uint8Array {
  const out = new Uint8Array(4);
  new DataView(out.buffer).setUint32(0, value);
  return out;
}

function join(...parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts));
}
