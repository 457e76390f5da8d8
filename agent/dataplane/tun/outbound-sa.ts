import type { OutboundSa, UdpEndpoint } from "../../ipsec/security-association.ts";
import { parseAddress } from "../../wire/address.ts";
import type { EspSpi } from "../../wire/ikev2/message-types.ts";
import type { AeadBatch } from "../ffi/aead-batch.ts";
import type { Arena } from "../ffi/arena.ts";
import { EspTransform } from "../ffi/esp-transform.ts";
import { SOCKADDR_OCTETS, writeSockaddr } from "../ffi/udp-socket.ts";
import { largestInner } from "./largest-inner.ts";

const TWO_32 = 2 ** 32;
/** Without ESN a rekey is asked for well before the numbers end (RFC 4303 §3.3.3). */
const SOFT_SEQUENCE = 0.9 * TWO_32;

/** An outbound SA in its worker. */
export interface TransmitSa {
  readonly childSaId: string;
  readonly spi: EspSpi;
  readonly row: number;
  readonly transform: EspTransform;
  readonly extended: boolean;
  readonly source: Uint8Array;
  /** sockaddr in the arena. */
  readonly destinationAt: number;
  destinationOctets: number;
  family: 4 | 6;
  /** Largest inner packet whose outer packet fits the path. */
  readonly maxInner: number;
  /** The number of the last packet sent: it never repeats under this key. */
  sequence: number;
  bytes: number;
  readonly softBytes: number;
  readonly softPackets: number;
  softRaised: boolean;
  hardRaised: boolean;
}

/** @throws Error with a sentence when the SA asks for what this plane does not have. */
export function makeTransmitSa(arena: Arena, sa: OutboundSa, row: number, pathMtu: number, sealing: AeadBatch | null): TransmitSa {
  const source = parseAddress(sa.local.address);
  if (source === null) throw new Error(`"${sa.local.address}" is not an address`);
  if (parseAddress(sa.remote.address) === null) throw new Error(`"${sa.remote.address}" is not an address`);
  if (sa.encapsulation !== "udp") throw new Error("the TUN plane sends ESP in UDP only: the link must ask for UDP encapsulation");
  // Last of all that can fail: what it holds would have to be given back.
  const transform = new EspTransform(arena, sa.keys, "seal", sa.extendedSequenceNumbers, sealing);
  const destinationAt = arena.allocate(SOCKADDR_OCTETS);
  const made: TransmitSa = {
    childSaId: sa.childSaId,
    spi: sa.spi,
    row,
    transform,
    extended: sa.extendedSequenceNumbers,
    source,
    destinationAt,
    destinationOctets: 0,
    family: source.length === 4 ? 4 : 6,
    maxInner: largestInner(transform, pathMtu, source.length === 4 ? 4 : 6),
    sequence: 0,
    bytes: 0,
    softBytes: sa.softBytes ?? Number.POSITIVE_INFINITY,
    softPackets: Math.min(sa.softPackets ?? Number.POSITIVE_INFINITY, sa.extendedSequenceNumbers ? Number.POSITIVE_INFINITY : SOFT_SEQUENCE),
    softRaised: false,
    hardRaised: false,
  };
  moveTransmitSa(arena, made, sa.remote);
  return made;
}

export function moveTransmitSa(arena: Arena, sa: TransmitSa, remote: UdpEndpoint): void {
  sa.destinationOctets = writeSockaddr(arena, sa.destinationAt, remote);
  sa.family = sa.destinationOctets === 16 ? 4 : 6;
}

export function closeTransmitSa(arena: Arena, sa: TransmitSa): void {
  sa.transform.close();
  arena.free(sa.destinationAt, SOCKADDR_OCTETS);
}

/** Whether there is no number left: 2^32 packets without ESN, 2^53 with. */
export function isExhausted(sa: TransmitSa): boolean {
  return sa.sequence >= (sa.extended ? Number.MAX_SAFE_INTEGER : TWO_32 - 1);
}
