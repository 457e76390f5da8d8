import { sequenceNumberLimit } from "../../ipsec/lifetime.ts";
import type { OutboundSa, SaLifetimes, UdpEndpoint } from "../../ipsec/security-association.ts";
import { parseAddress } from "../../wire/address.ts";
import type { EspSpi } from "../../wire/ikev2/message-types.ts";
import type { AeadBatch } from "../ffi/aead-batch.ts";
import type { Arena } from "../ffi/arena.ts";
import { EspTransform } from "../ffi/esp-transform.ts";
import { SOCKADDR_OCTETS, writeSockaddr } from "../ffi/udp-socket.ts";
import { largestInner } from "./largest-inner.ts";
import { SaLifetime } from "./sa-lifetime.ts";

/** A rekey is asked for well before the numbers end (RFC 4303 §3.3.3). */
const SOFT_SEQUENCE_SHARE = 0.9;

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
  readonly lifetime: SaLifetime;
}

/**
 * `sequence`: the last number that was sent under this key; an SA is new unless told.
 * @throws Error with a sentence when the SA asks for what this plane does not have.
 */
export function makeTransmitSa(arena: Arena, sa: OutboundSa, row: number, pathMtu: number, sealing: AeadBatch | null, sequence = 0): TransmitSa {
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
    sequence,
    lifetime: new SaLifetime(withinSequence(sa), performance.now(), sequence),
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

/** The SA's limits and that of its sequence numbers. Without ESN a rekey is asked for well before they end. */
function withinSequence(sa: OutboundSa): SaLifetimes {
  const last = sequenceNumberLimit(sa.extendedSequenceNumbers);
  const within = (limit: number | undefined, end: number) => Math.min(limit ?? end, end);
  return { ...sa, softPackets: within(sa.softPackets, SOFT_SEQUENCE_SHARE * last), hardPackets: within(sa.hardPackets, last) };
}

/** Whether there is no number left. */
export function isExhausted(sa: TransmitSa): boolean {
  return sa.sequence >= sequenceNumberLimit(sa.extended);
}
