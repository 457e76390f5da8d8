import type { UdpEndpoint } from "../../ipsec/security-association.ts";
import { parseAddress } from "../../wire/address.ts";
import { buildUnfragmentedUdp } from "../../wire/udp-packet.ts";
import { Arena } from "./arena.ts";
import { libc } from "./native.ts";
import { writeSockaddr, SOCKADDR_OCTETS } from "./udp-socket.ts";

const AF_INET = 2;
const AF_INET6 = 10;
const SOCK_RAW_NONBLOCK_CLOEXEC = 3 | 0o4000 | 0o2000000;
/** Sends what it is given with its IP header, and receives nothing (raw(7)). */
const IPPROTO_RAW = 255;
const MOST_OCTETS = 1_500;

/**
 * Sends single UDP datagrams that no router may fragment, for probes of the path: from whatever port, past the sockets that own it, because
 * "don't fragment" is an option of a socket and those send other things at the same time. Needs CAP_NET_RAW.
 */
export class UnfragmentedSender {
  readonly #arena = new Arena(1);
  readonly #packetAt = this.#arena.allocate(MOST_OCTETS);
  readonly #nameAt = this.#arena.allocate(SOCKADDR_OCTETS);
  readonly #fds: Readonly<Record<4 | 6, number>>;

  /** Null where the kernel gives no raw socket. */
  static open(): UnfragmentedSender | null {
    const fd4: number = libc.socket(AF_INET, SOCK_RAW_NONBLOCK_CLOEXEC, IPPROTO_RAW);
    if (fd4 < 0) return null;
    return new UnfragmentedSender({ 4: fd4, 6: libc.socket(AF_INET6, SOCK_RAW_NONBLOCK_CLOEXEC, IPPROTO_RAW) });
  }

  private constructor(fds: Readonly<Record<4 | 6, number>>) {
    this.#fds = fds;
  }

  /** False when the kernel did not take it: larger than the interface's own MTU, or no route. A probe that is not sent is one that is not answered. */
  send(local: UdpEndpoint, remote: UdpEndpoint, payload: Uint8Array): boolean {
    const [source, destination] = [parseAddress(local.address), parseAddress(remote.address)];
    if (source === null || destination === null || source.length !== destination.length) return false;
    const packet = buildUnfragmentedUdp({ source, sourcePort: local.port, destination, destinationPort: remote.port }, payload);
    if (packet.length > MOST_OCTETS) return false;
    const arena = this.#arena;
    arena.bytes.set(packet, this.#packetAt);
    // The port in the address of a raw IPv6 socket must be 0.
    const octets = writeSockaddr(arena, this.#nameAt, { address: remote.address, port: 0 });
    const fd = this.#fds[source.length === 4 ? 4 : 6];
    return Number(libc.sendto(fd, arena.address + this.#packetAt, packet.length, 0, arena.address + this.#nameAt, octets)) === packet.length;
  }

  close(): void {
    for (const fd of [this.#fds[4], this.#fds[6]]) if (fd >= 0) libc.close(fd);
  }
}
