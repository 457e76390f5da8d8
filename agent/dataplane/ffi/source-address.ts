import { parseAddress } from "../../wire/address.ts";
import { libc } from "./native.ts";
import { withScratch } from "./scratch.ts";
import { AF_INET, AF_INET6, readSockaddr, SOCKADDR_OCTETS, writeSockaddr } from "./udp-socket.ts";

const SOCK_DGRAM_CLOEXEC = 2 | 0o2000000;
/** Any: nothing is sent to it. */
const PORT = 500;

/** The address that a datagram to this one would leave from, by the routes as they are now; null: there is none. A UDP socket that is connected chooses it (ip(7)). */
export function sourceAddressTo(remote: string): string | null {
  const address = parseAddress(remote);
  if (address === null) return null;
  const fd: number = libc.socket(address.length === 4 ? AF_INET : AF_INET6, SOCK_DGRAM_CLOEXEC, 0);
  if (fd < 0) return null;
  try {
    return withScratch(SOCKADDR_OCTETS + 4, (arena, at) => {
      const length = writeSockaddr(arena, at, { address: remote, port: PORT });
      if (libc.connect(fd, arena.address + at, length) !== 0) return null;
      arena.view.setUint32(at + SOCKADDR_OCTETS, SOCKADDR_OCTETS, true);
      if (libc.getsockname(fd, arena.address + at, arena.address + at + SOCKADDR_OCTETS) !== 0) return null;
      return readSockaddr(arena, at).address;
    });
  } finally {
    libc.close(fd);
  }
}
