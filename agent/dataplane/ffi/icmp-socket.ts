import koffi from "koffi";

/*
 * Raw ICMP sockets (raw(7), icmpv6: RFC 3542): Node has none. Linux only. Every call is non-blocking but `waitReadable`, which
 * waits on a thread of libuv's pool.
 */
const libc = koffi.load(null);
const socketCall = libc.func("int socket(int domain, int type, int protocol)");
const bindCall = libc.func("int bind(int fd, const uint8_t *address, uint32_t length)");
const sendtoCall = libc.func("intptr_t sendto(int fd, const uint8_t *data, size_t length, int flags, const uint8_t *address, uint32_t addressLength)");
const recvCall = libc.func("intptr_t recv(int fd, uint8_t *data, size_t length, int flags)");
const pollCall = libc.func("int poll(uint8_t *descriptors, unsigned long count, int timeout)");
const closeCall = libc.func("int close(int fd)");

const AF_INET = 2;
const AF_INET6 = 10;
const SOCK_RAW = 3;
const SOCK_NONBLOCK = 0o4000;
const SOCK_CLOEXEC = 0o2000000;
const IPPROTO_ICMP = 1;
const IPPROTO_ICMPV6 = 58;
const POLLIN = 1;

/** A raw ICMP socket bound to `source` (4 or 16 octets). Throws an Error with a sentence when the kernel refuses. */
export function openIcmpSocket(source: Uint8Array): number {
  const isV4 = source.length === 4;
  const fd: number = socketCall(isV4 ? AF_INET : AF_INET6, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, isV4 ? IPPROTO_ICMP : IPPROTO_ICMPV6);
  if (fd < 0) throw new Error(`an ICMP socket could not be opened (errno ${koffi.errno()}); probes need CAP_NET_RAW`);
  const address = socketAddress(source);
  if (bindCall(fd, address, address.length) !== 0) {
    const errno = koffi.errno();
    closeCall(fd);
    throw new Error(`the probe's source is no address of this machine (errno ${errno})`);
  }
  return fd;
}

/** Sends one ICMP message (header and data; the kernel adds the IP header and, for IPv6, the checksum). False when it was not taken. */
export function sendIcmp(fd: number, target: Uint8Array, message: Uint8Array): boolean {
  const address = socketAddress(target);
  return Number(sendtoCall(fd, message, message.length, 0, address, address.length)) === message.length;
}

/** The number of octets received into `into`, 0 when nothing waits. IPv4 messages come with their IP header, IPv6 ones without. */
export function receiveIcmp(fd: number, into: Uint8Array): number {
  return Math.max(0, Number(recvCall(fd, into, into.length, 0)));
}

/** Resolves once any of the sockets can be read or the time is over. The sockets must stay open until then. */
export function waitReadable(fds: readonly number[], timeoutMs: number): Promise<void> {
  const descriptors = new Uint8Array(fds.length * 8);
  const view = new DataView(descriptors.buffer);
  for (const [index, fd] of fds.entries()) {
    view.setInt32(index * 8, fd, true);
    view.setInt16(index * 8 + 4, POLLIN, true);
  }
  return new Promise((resolve, reject) => {
    pollCall.async(descriptors, fds.length, timeoutMs, (error: Error | null) => (error === null ? resolve() : reject(error)));
  });
}

export function closeIcmpSocket(fd: number): void {
  closeCall(fd);
}

/** struct sockaddr_in or sockaddr_in6 with port 0. */
function socketAddress(octets: Uint8Array): Uint8Array {
  const address = new Uint8Array(octets.length === 4 ? 16 : 28);
  new DataView(address.buffer).setUint16(0, octets.length === 4 ? AF_INET : AF_INET6, true);
  address.set(octets, octets.length === 4 ? 4 : 8);
  return address;
}
