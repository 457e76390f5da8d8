import type { SeededRandom } from "../seeded-random.ts";

/** Values at which lengths and numbers of these formats break. */
const INTERESTING = [0, 1, 2, 3, 4, 5, 7, 8, 12, 16, 20, 28, 32, 33, 34, 40, 41, 46, 48, 53, 64, 127, 128, 129, 130, 200, 252, 254, 255];

/** One to eight changes: single octets, 16-bit fields, cuts, repeats, and pieces of another input. The longest result is bounded. */
export function mutate(input: Uint8Array, other: Uint8Array, random: SeededRandom, longest: number): Uint8Array {
  let bytes: Uint8Array = Uint8Array.from(input);
  const below = (limit: number): number => Math.floor(random.next() * limit);
  for (let left = 1 + below(1 << below(4)); left > 0; left--) {
    const at = below(bytes.length + 1);
    switch (below(9)) {
      case 0:
        if (at < bytes.length) bytes[at]! ^= 1 << below(8);
        break;
      case 1:
        if (at < bytes.length) bytes[at] = below(256);
        break;
      case 2:
        if (at < bytes.length) bytes[at] = INTERESTING[below(INTERESTING.length)]!;
        break;
      case 3:
        if (at < bytes.length) bytes[at] = (bytes[at]! + below(9) - 4) & 0xff;
        break;
      case 4: {
        // A 16-bit field in network order: lengths, types, counts.
        if (at + 1 >= bytes.length) break;
        const value = (((bytes[at]! << 8) | bytes[at + 1]!) + [-8, -4, -1, 1, 4, 8, 0x8000, below(0x1_0000)][below(8)]!) & 0xffff;
        bytes[at] = value >> 8;
        bytes[at + 1] = value & 0xff;
        break;
      }
      case 5:
        bytes = joined(bytes.subarray(0, at), bytes.subarray(Math.min(bytes.length, at + 1 + below(16))));
        break;
      case 6:
        bytes = joined(bytes.subarray(0, at), random.bytes(1 + below(8)), bytes.subarray(at));
        break;
      case 7: {
        const from = below(bytes.length + 1);
        bytes = joined(bytes.subarray(0, at), bytes.subarray(from, from + 1 + below(64)), bytes.subarray(at));
        break;
      }
      default: {
        const from = below(other.length + 1);
        const piece = other.subarray(from, from + 1 + below(other.length));
        bytes = joined(bytes.subarray(0, at), piece, bytes.subarray(Math.min(bytes.length, at + below(2) * piece.length)));
      }
    }
  }
  return bytes.subarray(0, longest);
}

function joined(...parts: readonly Uint8Array[]): Uint8Array {
  return Uint8Array.from(Buffer.concat(parts));
}
