import { randomInt } from "node:crypto";
import type { OutboundSa } from "../../ipsec/security-association.ts";
import { AH, ahOctets, IPV6_HEADER, writeAhHeader } from "../../wire/ah.ts";
import { writeU16 } from "../../wire/octets.ts";
import { AhTransform } from "../ffi/ah-transform.ts";
import type { Arena } from "../ffi/arena.ts";

const IPV4_HEADER = 20;
const TTL = 64;

/**
 * How packets of an outbound SA get AH and their outer header. Over IPv4 that is written here, since the ICV covers its identification; over IPv6
 * the kernel writes it, and what the ICV covers of it is known beforehand (RFC 4302 §3.3.3.1).
 */
export interface AhSealing {
  readonly transform: AhTransform;
  readonly family: 4 | 6;
  /** Octets in front of the inner packet, as it goes to the socket. */
  readonly frontOctets: number;
  readonly ahOctets: number;
  /** The outer header in the arena: what all packets have in common. */
  readonly headerAt: number;
  /** Counted from a random one, since several workers and SAs send to the same peer, and routers may fragment the packets (RFC 6864 §4). */
  identification: number;
}

/** `source` and `destination` are of one family. @throws Error with a sentence when there is no such algorithm. */
export function makeAhSealing(arena: Arena, sa: OutboundSa, source: Uint8Array, destination: Uint8Array): AhSealing {
  const transform = new AhTransform(arena, sa.keys, sa.extendedSequenceNumbers);
  const family = destination.length === 4 ? 4 : 6;
  const octets = ahOctets(transform.icvOctets, family);
  const headerAt = arena.allocate(IPV6_HEADER);
  const { bytes } = arena;
  bytes[headerAt] = family === 4 ? 0x45 : 0x60;
  bytes[headerAt + (family === 4 ? 9 : 6)] = AH;
  bytes.set(source, headerAt + (family === 4 ? 12 : 8));
  bytes.set(destination, headerAt + (family === 4 ? 16 : 24));
  const frontOctets = (family === 4 ? IPV4_HEADER : 0) + octets;
  return { transform, family, frontOctets, ahOctets: octets, headerAt, identification: randomInt(0x1_0000) };
}

export function closeAhSealing(arena: Arena, { transform, headerAt }: AhSealing): void {
  transform.close();
  arena.free(headerAt, IPV6_HEADER);
}

/**
 * Writes outer header, AH and ICV in front of the inner packet that lies at `start + frontOctets` and ends at `end`. What the ICV takes for zero is
 * filled in afterwards; the checksum is the kernel's to write.
 */
export function sealWithAh(
  arena: Arena,
  ah: AhSealing,
  start: number,
  end: number,
  spi: number,
  low: number,
  high: number,
  nextHeader: number,
  trafficClass: number,
): void {
  const { bytes } = arena;
  if (ah.family === 6) {
    writeAhHeader(bytes, start, ah.ahOctets, nextHeader, spi, low);
    writeU16(bytes, ah.headerAt + 4, end - start);
    return ah.transform.seal(ah.headerAt, IPV6_HEADER, start, end, high);
  }
  bytes.copyWithin(start, ah.headerAt, ah.headerAt + IPV4_HEADER);
  writeU16(bytes, start + 2, end - start);
  // The kernel takes 0 for a wish to choose it.
  ah.identification = (ah.identification % 0xffff) + 1;
  writeU16(bytes, start + 4, ah.identification);
  writeAhHeader(bytes, start + IPV4_HEADER, ah.ahOctets, nextHeader, spi, low);
  ah.transform.seal(start, IPV4_HEADER, start + IPV4_HEADER, end, high);
  bytes[start + 1] = trafficClass;
  bytes[start + 8] = TTL;
}
