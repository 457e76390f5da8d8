/** Big-endian reads and writes without a DataView a call. The caller has checked the bounds. */

export function readU16(bytes: Uint8Array, offset: number): number {
  return (bytes[offset]! << 8) | bytes[offset + 1]!;
}

export function readU32(bytes: Uint8Array, offset: number): number {
  return ((bytes[offset]! << 24) | (bytes[offset + 1]! << 16) | (bytes[offset + 2]! << 8) | bytes[offset + 3]!) >>> 0;
}

export function readU64(bytes: Uint8Array, offset: number): bigint {
  return (BigInt(readU32(bytes, offset)) << 32n) | BigInt(readU32(bytes, offset + 4));
}

export function writeU16(bytes: Uint8Array, offset: number, value: number): void {
  bytes[offset] = value >>> 8;
  bytes[offset + 1] = value;
}

export function writeU32(bytes: Uint8Array, offset: number, value: number): void {
  bytes[offset] = value >>> 24;
  bytes[offset + 1] = value >>> 16;
  bytes[offset + 2] = value >>> 8;
  bytes[offset + 3] = value;
}

export function writeU64(bytes: Uint8Array, offset: number, value: bigint): void {
  writeU32(bytes, offset, Number((value >> 32n) & 0xffffffffn));
  writeU32(bytes, offset + 4, Number(value & 0xffffffffn));
}

/** One new array of all the parts in order. */
export function concatOctets(parts: readonly Uint8Array[]): Uint8Array {
  let length = 0;
  for (const part of parts) length += part.length;
  const joined = new Uint8Array(length);
  let offset = 0;
  for (const part of parts) {
    joined.set(part, offset);
    offset += part.length;
  }
  return joined;
}

/**
 * The octets as a string, a character each, for what is kept for long and seldom looked at. A string takes 16 octets beside its content; a typed
 * array 250, and from 64 octets on a piece of memory outside the heap as well. Two of them compare with `<` as their octets do.
 */
export type PackedOctets = string & { readonly __brand: "PackedOctets" };

export function packOctets(bytes: Uint8Array): PackedOctets {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1") as PackedOctets;
}

/** A new array. */
export function unpackOctets(packed: PackedOctets): Uint8Array {
  return new Uint8Array(Buffer.from(packed, "latin1"));
}
