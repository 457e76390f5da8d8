import {
  AH,
  AH_FIXED_OCTETS,
  ahOctets,
  ahSequence,
  ahSpi,
  ahStatedOctets,
  endOfPath,
  findAh,
  IPV6_HEADER,
  isPossibleAh,
  protocolFieldBefore,
  writeAhHeader,
} from "../wire/ah.ts";
import { zeroMutableFields } from "../wire/ah-mutable-fields.ts";
import { internetChecksum } from "../wire/checksum.ts";
import { writeU16, writeU32 } from "../wire/octets.ts";
import { CryptoError } from "../crypto/crypto-error.ts";
import type { EspPacketId } from "../crypto/esp-cipher.ts";
import { type AlgorithmUse, integrityOf, type PacketIntegrity, verifyPacket } from "../crypto/packet-algorithms.ts";
import type { SaKeys } from "../crypto/sa-keys.ts";

/**
 * AH of one packet (RFC 4302 §3.3, §3.4) in node:crypto: simple and slow, as `sealEsp` and `openEsp` are. In tunnel mode the packets here are
 * the outer ones, with the inner packet as their payload (next header 4 or 41); in transport mode they are the packets themselves.
 */

/** The packet with AH in it. `packet` is whole, from its IP header on, and not a fragment. @throws CryptoError `badLength` for any other. */
export function sealAh(keys: SaKeys, id: EspPacketId, packet: Uint8Array, use: AlgorithmUse = "current"): Uint8Array {
  const integrity = algorithm(keys, use);
  const at = endOfPath(packet, 0, packet.length);
  if (at === -1) throw new CryptoError("badLength", `${packet.length} octets are no whole IP packet that AH can protect`);
  const octets = ahOctets(integrity.icvOctets, familyOf(packet));
  const out = new Uint8Array(packet.length + octets);
  out.set(packet.subarray(0, at));
  out.set(packet.subarray(at), at + octets);
  const field = protocolFieldBefore(packet, 0, at);
  writeAhHeader(out, at, octets, packet[field]!, id.spi, id.sequence);
  out[field] = AH;
  mendHeader(out, at);
  out.set(icvOf(integrity, keys, out, at, id), at + AH_FIXED_OCTETS);
  return out;
}

/** The packet without AH. @throws CryptoError `integrity` for a wrong ICV, `badLength` for what cannot be an AH packet of this SA. */
export function openAh(
  keys: SaKeys,
  packet: Uint8Array,
  sequenceHigh?: number,
  use: AlgorithmUse = "current",
): EspPacketId & { readonly packet: Uint8Array; readonly nextHeader: number; readonly payloadAt: number } {
  const integrity = algorithm(keys, use);
  const at = findAh(packet, 0, packet.length);
  if (at === -1 || !isPossibleAh(packet, at, packet.length, integrity.icvOctets, familyOf(packet)))
    throw new CryptoError("badLength", `${packet.length} octets are no packet with AH of this length`);
  const id = { spi: ahSpi(packet, at), sequence: ahSequence(packet, at), ...(sequenceHigh === undefined ? {} : { sequenceHigh }) };
  const icvAt = at + AH_FIXED_OCTETS;
  verifyPacket(integrity, keys.integrityKey, coveredParts(packet, at, integrity.icvOctets, id), packet.subarray(icvAt, icvAt + integrity.icvOctets));
  const octets = ahStatedOctets(packet, at);
  const out = new Uint8Array(packet.length - octets);
  out.set(packet.subarray(0, at));
  out.set(packet.subarray(at + octets), at);
  out[protocolFieldBefore(packet, 0, at)] = packet[at]!;
  mendHeader(out, at);
  return { ...id, packet: out, nextHeader: packet[at]!, payloadAt: at };
}

function algorithm(keys: SaKeys, use: AlgorithmUse): PacketIntegrity {
  const integrity = integrityOf(keys.integ, use);
  if (integrity === undefined) throw new CryptoError("unsupported", `no AH with the integrity algorithm ${keys.integ}`);
  return integrity;
}

function icvOf(integrity: PacketIntegrity, keys: SaKeys, packet: Uint8Array, at: number, id: EspPacketId): Uint8Array {
  return integrity.compute(keys.integrityKey, coveredParts(packet, at, integrity.icvOctets, id));
}

/** Headers without what may change, AH without its ICV, the rest as it is, and the high half of the sequence number (RFC 4302 §3.3.3). */
function coveredParts(packet: Uint8Array, at: number, icvOctets: number, { sequenceHigh }: EspPacketId): Uint8Array[] {
  const covered = packet.slice();
  if (!zeroMutableFields(covered, 0, at)) throw new CryptoError("badLength", "the headers before AH are malformed, or on their way to another destination");
  covered.fill(0, at + AH_FIXED_OCTETS, at + AH_FIXED_OCTETS + icvOctets);
  if (sequenceHigh === undefined) return [covered];
  const high = new Uint8Array(4);
  writeU32(high, 0, sequenceHigh);
  return [covered, high];
}

function familyOf(packet: Uint8Array): 4 | 6 {
  return packet[0]! >> 4 === 4 ? 4 : 6;
}

/** Length, and IPv4's checksum. `headerEnd`: where the IP header ends, in IPv6 the headers before AH. */
function mendHeader(packet: Uint8Array, headerEnd: number): void {
  if (familyOf(packet) === 6) return writeU16(packet, 4, packet.length - IPV6_HEADER);
  writeU16(packet, 2, packet.length);
  writeU16(packet, 10, 0);
  writeU16(packet, 10, internetChecksum(packet, 0, headerEnd));
}
