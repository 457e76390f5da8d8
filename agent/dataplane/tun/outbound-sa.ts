import { sequenceNumberLimit } from "../../ipsec/lifetime.ts";
import type { OutboundSa, SaLifetimes, UdpEndpoint } from "../../ipsec/security-association.ts";
import { parseAddress } from "../../wire/address.ts";
import { ESP_HEADER_LENGTH } from "../../wire/esp.ts";
import type { EspSpi } from "../../wire/ikev2/message-types.ts";
import { Arena } from "../ffi/arena.ts";
import type { BatchedEsp } from "../ffi/batched-esp.ts";
import type { EspShape } from "../ffi/esp-suite.ts";
import { EspTransform, MOST_ESP_OCTETS } from "../ffi/esp-transform.ts";
import { SOCKADDR_OCTETS, writeSockaddr } from "../ffi/udp-socket.ts";
import { type AhSealing, closeAhSealing, makeAhSealing } from "./ah-sealing.ts";
import type { CounterTable } from "./counters.ts";
import { innerByPath } from "./largest-inner.ts";
import { aimOuterFragments, closeOuterFragments, makeOuterFragments, MOST_FRAGMENTS_OCTETS, type OuterFragments } from "./outer-fragments.ts";
import { socketIndex, withoutSocket } from "./outer-sockets.ts";
import type { AheadOf } from "./read-ahead.ts";
import { SaLifetime } from "./sa-lifetime.ts";
import { type SaParts, withRoom } from "./sa-parts.ts";
import { SharedSequence } from "./shared-sequence.ts";

/** A rekey is asked for well before the numbers end (RFC 4303 §3.3.3). */
const SOFT_SEQUENCE_SHARE = 0.9;

/** The most that an SA takes of its arena. AH takes less than ESP. */
export const MOST_TRANSMIT_OCTETS = MOST_ESP_OCTETS + Arena.sizeOf(SOCKADDR_OCTETS) + MOST_FRAGMENTS_OCTETS;

/** An outbound SA in its worker. What every packet reads comes first: of many SAs each is in the cache only as far as it was read. */
export interface TransmitSa {
  readonly row: number;
  /** Who notes its packets, and the line in the arena that is all they need of it; null: `transform` or `ah` seals each at once. */
  readonly batched: BatchedEsp | null;
  readonly lineAt: number;
  /** Of ESP. */
  readonly shape: EspShape | null;
  /** From an ESP or AH header to the inner packet. */
  readonly frontOctets: number;
  /** The largest inner packet whose outer packet fits the path to the peer. */
  maxInner: number;
  /** The number of the last packet sent: it never repeats under this key. */
  sequence: number;
  /** In its place where several workers send under the SA. */
  readonly numbers: SharedSequence | null;
  readonly extended: boolean;
  /** As it is written: V8 keeps a signed number in the object, and one from 2^31 on elsewhere. */
  readonly spiWord: number;
  /** Over IPv6, where there is a socket for it: how a packet goes that the path does not take whole. */
  readonly fragments: OuterFragments | null;
  /** Equal in all that leaves by the same socket from and to the same endpoints: such packets may go in one message. */
  route: string;
  /** Of what goes in UDP the kernel takes many in one message. */
  readonly isEncapsulated: boolean;
  /** One of this and `ah` is there: which protocol it is of. */
  readonly transform: EspTransform | null;
  readonly ah: AhSealing | null;
  readonly source: Uint8Array;
  /** sockaddr in the arena. */
  readonly destinationAt: number;
  destinationOctets: number;
  /** Which socket it leaves by (outer-sockets.ts). */
  socket: number;
  readonly childSaId: string;
  readonly spi: EspSpi;
  /** The peer's address, and what `maxInner` is for another path. */
  remote: string;
  readonly innerFor: (pathMtu: number) => number;
  readonly lifetime: SaLifetime;
}

/**
 * `sequence`: the last number that was sent under this key; an SA is new unless told.
 * @throws Error with a sentence when the SA asks for what this plane does not have.
 */
export function makeTransmitSa(
  { arena, counters, batch, raw }: SaParts,
  sa: OutboundSa,
  row: number,
  pathMtu: number,
  sequence = 0,
  numbers: SharedArrayBuffer | null = null,
): TransmitSa {
  const source = parseAddress(sa.local.address);
  if (source === null) throw new Error(`"${sa.local.address}" is not an address`);
  const remote = parseAddress(sa.remote.address);
  if (remote === null) throw new Error(`"${sa.remote.address}" is not an address`);
  const family = remote.length === 4 ? 4 : 6;
  const obstacle = withoutSocket(sa, family, raw);
  if (obstacle !== null) throw new Error(obstacle);
  return withRoom(arena, SOCKADDR_OCTETS, (destinationAt) => {
    const ah = sa.protocol === "ah" ? makeAhSealing(arena, sa, source, remote) : null;
    const transform = ah === null ? new EspTransform(arena, sa.keys, "seal", sa.extendedSequenceNumbers, batch) : null;
    // Nothing from here on can fail, since an arena has room for all SAs: what they hold would have to be given back.
    const innerFor = innerByPath(transform?.shape ?? null, ah?.transform ?? null, family, sa.encapsulation);
    const whole: TransmitSa = {
      row,
      batched: transform?.batched ?? null,
      lineAt: transform?.lineAt ?? 0,
      shape: transform?.shape ?? null,
      frontOctets: ah?.frontOctets ?? ESP_HEADER_LENGTH + (transform?.ivOctets ?? 0),
      maxInner: innerFor(pathMtu),
      sequence,
      numbers: numbers === null ? null : new SharedSequence(numbers),
      extended: sa.extendedSequenceNumbers,
      spiWord: sa.spi | 0,
      fragments: null,
      route: "",
      isEncapsulated: sa.encapsulation === "udp",
      transform,
      ah,
      source,
      destinationAt,
      destinationOctets: 0,
      socket: socketIndex(sa, family),
      childSaId: sa.childSaId,
      spi: sa.spi,
      remote: sa.remote.address,
      innerFor,
      lifetime: new SaLifetime(counters, row, withinSequence(sa), performance.now(), sequence),
    };
    const made = family === 6 && raw.headedIpv6 !== null ? { ...whole, fragments: makeOuterFragments(arena, whole, sa.local.port) } : whole;
    moveTransmitSa(arena, made, sa.remote);
    return made;
  });
}

/** What a packet reads of it. */
export function aheadOfTransmitSa({ words }: Arena, counters: CounterTable): Pick<AheadOf<TransmitSa>, "self" | "parts" | "ends"> {
  return {
    self: ({ row, maxInner, isEncapsulated }) => (isEncapsulated ? row | maxInner : 0),
    parts: ({ row, lineAt }) => (counters.isOver(row) ? 1 : 0) | words[lineAt >>> 2]!,
    ends: null,
  };
}

export function moveTransmitSa(arena: Arena, sa: TransmitSa, remote: UdpEndpoint): void {
  // A raw socket takes no port, and of IPv6 refuses one.
  sa.destinationOctets = writeSockaddr(arena, sa.destinationAt, sa.isEncapsulated ? remote : { address: remote.address, port: 0 });
  // Only NATs move a peer; where there is one everything is in UDP.
  sa.socket = (sa.socket & ~1) | (sa.destinationOctets === 16 ? 0 : 1);
  sa.route = oneOfAKind(`${sa.socket} ${sa.source.join()} ${remote.address} ${remote.port}`);
  if (sa.fragments !== null) aimOuterFragments(arena, sa.fragments, remote);
}

const ROUTES_KEPT = 65_536;
const routes = new Map<string, string>();

/** The same object for equal texts, which are then compared by their address. */
function oneOfAKind(route: string): string {
  const known = routes.get(route);
  if (known !== undefined) return known;
  // Peers that move may name any number of ports; equal texts stay equal without it.
  if (routes.size >= ROUTES_KEPT) routes.clear();
  routes.set(route, route);
  return route;
}

export function closeTransmitSa(arena: Arena, sa: TransmitSa): void {
  sa.transform?.close();
  if (sa.ah !== null) closeAhSealing(arena, sa.ah);
  if (sa.fragments !== null) closeOuterFragments(arena, sa.fragments);
  arena.free(sa.destinationAt, SOCKADDR_OCTETS);
}

/** The SA's limits and that of its sequence numbers. Without ESN a rekey is asked for well before they end. */
function withinSequence(sa: OutboundSa): SaLifetimes {
  const last = sequenceNumberLimit(sa.extendedSequenceNumbers);
  const within = (limit: number | undefined, end: number) => Math.min(limit ?? end, end);
  return { ...sa, softPackets: within(sa.softPackets, SOFT_SEQUENCE_SHARE * last), hardPackets: within(sa.hardPackets, last) };
}

/** The number of the next packet; 0: there is none left. */
export function nextSequence(sa: TransmitSa): number {
  if (sa.numbers !== null) return sa.numbers.take();
  return sa.sequence >= sequenceNumberLimit(sa.extended) ? 0 : ++sa.sequence;
}
