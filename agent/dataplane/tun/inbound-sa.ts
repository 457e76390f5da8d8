import { type CompiledSelector, compileSelectors, isOfAddresses, isOfPair, matchesPacket, pairWords } from "../../ipsec/packet-match.ts";
import { MAXIMUM_PACKETS, ReplayWindow } from "../../ipsec/replay-window.ts";
import type { InboundSa, UdpEndpoint } from "../../ipsec/security-association.ts";
import { parseAddress } from "../../wire/address.ts";
import type { EspSpi } from "../../wire/ikev2/message-types.ts";
import type { IpPacketView } from "../../wire/ip.ts";
import { readU32 } from "../../wire/octets.ts";
import { Arena } from "../ffi/arena.ts";
import { AhTransform } from "../ffi/ah-transform.ts";
import type { BatchedEsp } from "../ffi/batched-esp.ts";
import type { EspShape } from "../ffi/esp-suite.ts";
import { EspTransform, MOST_ESP_OCTETS } from "../ffi/esp-transform.ts";
import { readSockaddr, writeSockaddr } from "../ffi/udp-socket.ts";
import { Allowance } from "./allowance.ts";
import type { CounterTable } from "./counters.ts";
import { innerByPath } from "./largest-inner.ts";
import { withoutSocket } from "./outer-sockets.ts";
import { SaLifetime } from "./sa-lifetime.ts";
import type { AheadOf } from "./read-ahead.ts";
import { type SaParts, withRoom } from "./sa-parts.ts";

/**
 * What every packet reads of an SA lies side by side in the arena, in octets from `ReceiveSa.at`: the peer's sockaddr, the first and last local and remote IPv4
 * address where such a pair is all that the SA is for, and the replay window's ring, of which a window of 64 packets needs the rest of the cache line.
 */
const Near = { remote: 0, selectors: 32, window: 48 } as const;

/** Of an SA: each is an event for the control plane. A NAT that restarts moves a peer once. */
const MOVES_A_SECOND = 4;

/** The most that an SA takes of its arena. */
export const MOST_RECEIVE_OCTETS = MOST_ESP_OCTETS + Arena.sizeOf(nearOctets(MAXIMUM_PACKETS));

function nearOctets(windowPackets: number): number {
  return Near.window + 4 * ReplayWindow.wordsOf(windowPackets);
}

/** An inbound SA in its worker. What every packet reads comes first: of many SAs each is in the cache only as far as it was read. */
export interface ReceiveSa {
  readonly row: number;
  /** Who notes its packets, and the line in the arena that is all they need of it; null: `transform` or `ah` opens each at once. */
  readonly batched: BatchedEsp | null;
  readonly lineAt: number;
  /** Of ESP. */
  readonly shape: EspShape | null;
  readonly window: ReplayWindow;
  readonly extended: boolean;
  /** Where `Near` begins in the arena. */
  readonly at: number;
  used: boolean;
  /** The selectors are an IPv4 pair that addresses alone decide of. */
  readonly isOfPair: boolean;
  /** Of the sockaddr. */
  remoteOctets: number;
  /** The largest inner packet of the way back to the peer: what a SYN-ACK may announce. */
  maxInner: number;
  /** One of this and `ah` is there: which protocol it is of. */
  readonly transform: EspTransform | null;
  readonly ah: AhTransform | null;
  /** In UDP: from where its packets come may change (RFC 3947 §5.1). */
  readonly isEncapsulated: boolean;
  readonly moves: Allowance;
  /** Of `Near` and its ring. */
  readonly octets: number;
  readonly childSaId: string;
  readonly spi: EspSpi;
  readonly localSelectors: readonly CompiledSelector[];
  readonly remoteSelectors: readonly CompiledSelector[];
  readonly lifetime: SaLifetime;
  /** The peer's address, and what `maxInner` is for another path. */
  remote: string;
  readonly innerFor: (pathMtu: number) => number;
}

/** @throws Error with a sentence when the SA asks for what this plane does not have. */
export function makeReceiveSa({ arena, counters, batch, raw }: SaParts, sa: InboundSa, row: number, pathMtu: number): ReceiveSa {
  const remote = parseAddress(sa.remote.address);
  if (remote === null) throw new Error(`"${sa.remote.address}" is not an address`);
  const family = remote.length === 4 ? 4 : 6;
  const obstacle = withoutSocket(sa, family, raw);
  if (obstacle !== null) throw new Error(obstacle);
  const octets = nearOctets(sa.replayWindowPackets);
  const localSelectors = compileSelectors(sa.localSelectors);
  const remoteSelectors = compileSelectors(sa.remoteSelectors);
  return withRoom(arena, octets, (at) => {
    const ah = sa.protocol === "ah" ? new AhTransform(arena, sa.keys, sa.extendedSequenceNumbers) : null;
    const transform = ah === null ? new EspTransform(arena, sa.keys, "open", sa.extendedSequenceNumbers, batch) : null;
    // Nothing from here on can fail: what they hold would have to be given back.
    const innerFor = innerByPath(transform?.shape ?? null, ah, family, sa.encapsulation);
    return {
      row,
      batched: transform?.batched ?? null,
      lineAt: transform?.lineAt ?? 0,
      shape: transform?.shape ?? null,
      window: new ReplayWindow(sa.replayWindowPackets, arena.words, (at + Near.window) >>> 2),
      extended: sa.extendedSequenceNumbers,
      at,
      used: false,
      isOfPair: writePair(arena, at + Near.selectors, localSelectors, remoteSelectors),
      // Packets that do not go in UDP come from no port.
      remoteOctets: writeSockaddr(arena, at + Near.remote, sa.encapsulation === "udp" ? sa.remote : { address: sa.remote.address, port: 0 }),
      maxInner: innerFor(pathMtu),
      transform,
      ah,
      isEncapsulated: sa.encapsulation === "udp",
      moves: new Allowance(MOVES_A_SECOND),
      octets,
      childSaId: sa.childSaId,
      spi: sa.spi,
      localSelectors,
      remoteSelectors,
      lifetime: new SaLifetime(counters, row, sa, performance.now()),
      remote: sa.remote.address,
      innerFor,
    };
  });
}

export function closeReceiveSa(arena: Arena, sa: ReceiveSa): void {
  sa.transform?.close();
  sa.ah?.close();
  arena.free(sa.at, sa.octets);
}

/** What a packet reads of it; `sequence`: of the packet with a number. */
export function aheadOfReceiveSa(
  { words }: Arena,
  counters: CounterTable,
  sequence: (index: number) => number,
): Pick<AheadOf<ReceiveSa>, "self" | "parts" | "ends"> {
  return {
    self: ({ row, maxInner }) => row | maxInner,
    parts: ({ row, at, window, lineAt }) => (counters.isOver(row) ? 1 : 0) | words[at >>> 2]! | words[lineAt >>> 2]! | (window.highest > 0 ? 1 : 0),
    ends: ({ window }, index) => (window.check(sequence(index)) ? 1 : 0),
  };
}

/** The peer is there now. */
export function moveReceiveSa(arena: Arena, sa: ReceiveSa, remote: UdpEndpoint): void {
  sa.remoteOctets = writeSockaddr(arena, sa.at + Near.remote, remote);
}

/**
 * An authenticated packet that is newer than all before came from this sockaddr, which is not the peer's as we know it: where it is now; null: it stays where it
 * was. That may be because it has moved too often just now; the next packet asks again.
 */
export function followPeer(arena: Arena, sa: ReceiveSa, sockaddrAt: number, now: number): UdpEndpoint | null {
  // What did not come in UDP came from no port, and through no NAT.
  if (!sa.isEncapsulated || arena.view.getUint16(sockaddrAt + 2) === 0 || !sa.moves.allows(now)) return null;
  const remote = readSockaddr(arena, sockaddrAt);
  moveReceiveSa(arena, sa, remote);
  return remote;
}

/** False: they are not one pair of IPv4 selectors without ports and protocols, and nothing was written. */
function writePair(arena: Arena, at: number, local: readonly CompiledSelector[], remote: readonly CompiledSelector[]): boolean {
  const [ours, theirs] = [local[0], remote[0]];
  const isPair = local.length === 1 && remote.length === 1 && [...local, ...remote].every((selector) => selector.family === 4 && isOfAddresses(selector));
  if (!isPair || ours === undefined || theirs === undefined) return false;
  arena.words.set(pairWords(ours, theirs), at >>> 2);
  return true;
}

/** Whether the SA is for the packet that came out of it (RFC 4301 §5.2 step 4). */
export function isForPacket({ bytes, words }: Arena, sa: ReceiveSa, view: IpPacketView): boolean {
  if (!sa.isOfPair || view.family !== 4) return matchesPacket(sa.localSelectors, sa.remoteSelectors, bytes, view, "inbound");
  const pair = (sa.at + Near.selectors) >>> 2;
  const source = readU32(bytes, view.sourceOffset);
  const destination = readU32(bytes, view.destinationOffset);
  return isOfPair(words, pair, destination, source);
}

/** Whether this sockaddr is the peer's as we know it: port and address, not the IPv6 flow label or scope. */
export function isFromPeer(arena: Arena, sa: ReceiveSa, sockaddrAt: number): boolean {
  const { view } = arena;
  const remoteAt = sa.at + Near.remote;
  const octets = sa.remoteOctets === 16 ? 8 : 24;
  for (let at = 0; at < octets; at += 4) {
    if (octets === 24 && at === 4) continue;
    if (view.getInt32(remoteAt + at) !== view.getInt32(sockaddrAt + at)) return false;
  }
  return true;
}
