import { Arena } from "./arena.ts";
import { errno, Errno, libc } from "./native.ts";
import { withScratch } from "./scratch.ts";
import { setOption } from "./udp-socket.ts";

/* Netlink sockets (netlink(7)): datagrams to and from the kernel. Requests are carried out while they are sent: the answer is there when `send` returns. */
const AF_NETLINK = 16;
const SOCKADDR_NL_OCTETS = 12;
const SOCK_RAW_NONBLOCK_CLOEXEC = 3 | 0o4000 | 0o2000000;
const SOL_SOCKET = 1;
const SO_RCVBUFFORCE = 33;
const SOL_NETLINK = 270;
const NETLINK_ADD_MEMBERSHIP = 1;
const NETLINK_CAP_ACK = 10;
const NETLINK_EXT_ACK = 11;
const BUFFER_OCTETS = 1 << 16;
/** Room for some ten thousand events that nobody has read yet. */
const EVENT_BUFFER_OCTETS = 8 << 20;
export const NETLINK_XFRM = 6;

/** A socket that hears these groups; without groups, one for requests. @throws Error when the kernel has no such protocol or does not let us. */
export function openNetlink(protocol: number, groups: readonly number[] = []): number {
  const fd: number = libc.socket(AF_NETLINK, SOCK_RAW_NONBLOCK_CLOEXEC, protocol);
  if (fd < 0) throw new NetlinkOpenError(errno());
  setOption(fd, SOL_NETLINK, NETLINK_CAP_ACK, 1);
  setOption(fd, SOL_NETLINK, NETLINK_EXT_ACK, 1);
  if (groups.length > 0) setOption(fd, SOL_SOCKET, SO_RCVBUFFORCE, EVENT_BUFFER_OCTETS);
  if (bind(fd) && groups.every((group) => setOption(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, group))) return fd;
  const code = errno();
  libc.close(fd);
  throw new NetlinkOpenError(code);
}

/** To an address that the kernel chooses. */
function bind(fd: number): boolean {
  return withScratch(SOCKADDR_NL_OCTETS, (arena, at) => {
    arena.view.setUint16(at, AF_NETLINK, true);
    return libc.bind(fd, arena.address + at, SOCKADDR_NL_OCTETS) === 0;
  });
}

export class NetlinkOpenError extends Error {
  readonly errno: number;

  constructor(code: number) {
    super(`a netlink socket cannot be opened (errno ${code})`);
    this.errno = code;
  }
}

/** Moves datagrams of one netlink socket; keys that pass through are not left in its memory. */
export class NetlinkPort {
  readonly #fd: number;
  readonly #arena = new Arena(2 * BUFFER_OCTETS + 128);
  readonly #out = this.#arena.allocate(BUFFER_OCTETS);
  readonly #in = this.#arena.allocate(BUFFER_OCTETS);
  #received = 0;

  constructor(fd: number) {
    this.#fd = fd;
  }

  /** @throws Error when the kernel takes no message at all; what it thinks of the message comes as an answer. */
  send(message: Uint8Array): void {
    if (message.length > BUFFER_OCTETS) throw new RangeError(`a message of ${message.length} octets is too long`);
    this.#arena.bytes.set(message, this.#out);
    const sent = Number(libc.write(this.#fd, this.#arena.address + this.#out, message.length));
    const code = sent === message.length ? 0 : errno();
    this.#arena.bytes.fill(0, this.#out, this.#out + message.length);
    if (sent !== message.length) throw new Error(`the kernel took no netlink message (errno ${code})`);
  }

  /** The next datagram, a view that the next call zeroes; "none" when none waits, "lost" when the kernel dropped some. */
  receive(): Uint8Array | "none" | "lost" {
    this.forget();
    const octets = Number(libc.read(this.#fd, this.#arena.address + this.#in, BUFFER_OCTETS));
    if (octets < 0) return errno() === Errno.ENOBUFS ? "lost" : "none";
    this.#received = octets;
    return this.#arena.bytes.subarray(this.#in, this.#in + octets);
  }

  /** Zeroes what was received. */
  forget(): void {
    this.#arena.bytes.fill(0, this.#in, this.#in + this.#received);
    this.#received = 0;
  }

  close(): void {
    libc.close(this.#fd);
    this.#arena.release();
  }
}
