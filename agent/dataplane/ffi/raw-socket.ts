import { Errno, errno, libc } from "./native.ts";
import { keepOwnSpis } from "./packet-filter.ts";
import { AF_INET, AF_INET6, type Family, setOption, setPacketOptions, widenBuffers } from "./udp-socket.ts";

/*
 * Raw sockets (raw(7)) of ESP and AH, one for each family, for packets that do not go in UDP. They take every packet of their protocol that comes
 * to this host. IPv4 packets come with their IP header, IPv6 ones without. There is no segmentation offload: each packet is a message.
 */
const SOCK_RAW_NONBLOCK_CLOEXEC = 3 | 0o4000 | 0o2000000;
const IPPROTO_ESP = 50;
const IPPROTO_AH = 51;
/** Sends packets that come with their IP header, and receives nothing. */
const IPPROTO_RAW = 255;
const IP_HDRINCL = 3;

/** IPv4 and IPv6; null where the machine has no such family, or the process may not. */
export type SocketPair = readonly [number | null, number | null];

export interface RawSockets {
  readonly esp: SocketPair;
  readonly ah: SocketPair;
  /** Only to send by: IPv6 packets that come with their header, fragments among them. Of several workers the first has it. */
  readonly headedIpv6: number | null;
}

export const noRawSockets: RawSockets = { esp: [null, null], ah: [null, null], headedIpv6: null };

const ESP_SPI_AT = 0;
const AH_SPI_AT = 4;

/** Those of one of several workers get what its SPIs say. A sentence, without a full stop, when there can be none. */
export function openRawSockets(worker = 0, workers = 1): RawSockets | string {
  const opened: number[] = [];
  const open = (family: Family, protocol: number): number | null => {
    const fd: number = libc.socket(family === 4 ? AF_INET : AF_INET6, SOCK_RAW_NONBLOCK_CLOEXEC, protocol);
    if (fd < 0) return null;
    opened.push(fd);
    setPacketOptions(fd, family);
    if (workers > 1) keepOwnSpis(fd, family, protocol === IPPROTO_AH ? AH_SPI_AT : ESP_SPI_AT, worker, workers);
    // AH covers fields of the outer header that the kernel would choose (RFC 4302 §3.3.3.1.1); of IPv6 it covers none of those.
    if (family === 4 && protocol === IPPROTO_AH) setOption(fd, 0, IP_HDRINCL, 1);
    return fd;
  };
  try {
    const esp4 = open(4, IPPROTO_ESP);
    if (esp4 === null) {
      const code = errno();
      return code === Errno.EPERM || code === Errno.EACCES ? "raw sockets need CAP_NET_RAW" : `raw sockets cannot be made (errno ${code})`;
    }
    const headed: number = worker === 0 ? libc.socket(AF_INET6, SOCK_RAW_NONBLOCK_CLOEXEC, IPPROTO_RAW) : -1;
    if (headed >= 0) {
      opened.push(headed);
      widenBuffers(headed);
    }
    return { esp: [esp4, open(6, IPPROTO_ESP)], ah: [open(4, IPPROTO_AH), open(6, IPPROTO_AH)], headedIpv6: headed < 0 ? null : headed };
  } catch (error) {
    for (const fd of opened) libc.close(fd);
    throw error;
  }
}

export function rawFds({ esp, ah, headedIpv6 }: RawSockets): number[] {
  return [...esp, ...ah, headedIpv6].filter((fd) => fd !== null);
}
