import { type CompiledSelector, compileSelectors } from "../../ipsec/packet-match.ts";
import { ReplayWindow } from "../../ipsec/replay-window.ts";
import type { InboundSa } from "../../ipsec/security-association.ts";
import { parseAddress } from "../../wire/address.ts";
import type { EspSpi } from "../../wire/ikev2/message-types.ts";
import type { AeadBatch } from "../ffi/aead-batch.ts";
import type { Arena } from "../ffi/arena.ts";
import { AhTransform } from "../ffi/ah-transform.ts";
import { EspTransform } from "../ffi/esp-transform.ts";
import { noRawSockets, type RawSockets } from "../ffi/raw-socket.ts";
import { SOCKADDR_OCTETS, writeSockaddr } from "../ffi/udp-socket.ts";
import { innerByPath } from "./largest-inner.ts";
import { withoutSocket } from "./outer-sockets.ts";
import { SaLifetime } from "./sa-lifetime.ts";

/** An inbound SA in its worker. */
export interface ReceiveSa {
  readonly childSaId: string;
  readonly spi: EspSpi;
  readonly row: number;
  /** One of the two is there: which protocol it is of. */
  readonly transform: EspTransform | null;
  readonly ah: AhTransform | null;
  /** In UDP: from where its packets come may change (RFC 3947 §5.1). */
  readonly isEncapsulated: boolean;
  readonly extended: boolean;
  readonly window: ReplayWindow;
  readonly localSelectors: readonly CompiledSelector[];
  readonly remoteSelectors: readonly CompiledSelector[];
  /** sockaddr of the peer in the arena. */
  readonly remoteAt: number;
  remoteOctets: number;
  used: boolean;
  readonly lifetime: SaLifetime;
  /** The peer's address, the largest inner packet of the way back to it (what a SYN-ACK may announce), and what that is for another path. */
  remote: string;
  maxInner: number;
  readonly innerFor: (pathMtu: number) => number;
}

/** @throws Error with a sentence when the SA asks for what this plane does not have. */
export function makeReceiveSa(arena: Arena, sa: InboundSa, row: number, pathMtu: number, opening: AeadBatch | null, raw: RawSockets = noRawSockets): ReceiveSa {
  const remote = parseAddress(sa.remote.address);
  if (remote === null) throw new Error(`"${sa.remote.address}" is not an address`);
  const family = remote.length === 4 ? 4 : 6;
  const obstacle = withoutSocket(sa, family, raw);
  if (obstacle !== null) throw new Error(obstacle);
  const window = new ReplayWindow(sa.replayWindowPackets);
  // Last of all that can fail: what it holds would have to be given back.
  const ah = sa.protocol === "ah" ? new AhTransform(arena, sa.keys, sa.extendedSequenceNumbers) : null;
  const transform = ah === null ? new EspTransform(arena, sa.keys, "open", sa.extendedSequenceNumbers, opening) : null;
  const innerFor = innerByPath(transform, ah, family, sa.encapsulation);
  const remoteAt = arena.allocate(SOCKADDR_OCTETS);
  return {
    childSaId: sa.childSaId,
    spi: sa.spi,
    row,
    transform,
    ah,
    isEncapsulated: sa.encapsulation === "udp",
    extended: sa.extendedSequenceNumbers,
    window,
    localSelectors: compileSelectors(sa.localSelectors),
    remoteSelectors: compileSelectors(sa.remoteSelectors),
    remoteAt,
    // Packets that do not go in UDP come from no port.
    remoteOctets: writeSockaddr(arena, remoteAt, sa.encapsulation === "udp" ? sa.remote : { address: sa.remote.address, port: 0 }),
    used: false,
    lifetime: new SaLifetime(sa, performance.now()),
    remote: sa.remote.address,
    maxInner: innerFor(pathMtu),
    innerFor,
  };
}

export function closeReceiveSa(arena: Arena, sa: ReceiveSa): void {
  sa.transform?.close();
  sa.ah?.close();
  arena.free(sa.remoteAt, SOCKADDR_OCTETS);
}

/** Whether this sockaddr is the peer's as we know it: port and address, not the IPv6 flow label or scope. */
export function isFromPeer(arena: Arena, sa: ReceiveSa, sockaddrAt: number): boolean {
  const { view } = arena;
  const octets = sa.remoteOctets === 16 ? 8 : 24;
  for (let at = 0; at < octets; at += 4) {
    if (octets === 24 && at === 4) continue;
    if (view.getInt32(sa.remoteAt + at) !== view.getInt32(sockaddrAt + at)) return false;
  }
  return true;
}
