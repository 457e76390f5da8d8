import { libc } from "./native.ts";
import { setSocketOption } from "./udp-socket.ts";

const AF = { 4: 2, 6: 10 } as const;
const SOCK_RAW_NONBLOCK_CLOEXEC = 3 | 0o4000 | 0o2000000;
const IPPROTO_ICMP = 1;
const IPPROTO_ICMPV6 = 58;
const SOL_RAW = 255;
/** Both filters have the same number (raw(7), RFC 3542 §3.2); a bit that is set keeps the type out. */
const FILTER = 1;
const DESTINATION_UNREACHABLE = 3;
const PACKET_TOO_BIG = 2;

/** A raw socket that gets the ICMP messages of one type that speak of packets that were too large. Null: the kernel gives none (no CAP_NET_RAW, no such family). */
export function openIcmpErrorSocket(family: 4 | 6): number | null {
  const fd: number = libc.socket(AF[family], SOCK_RAW_NONBLOCK_CLOEXEC, family === 4 ? IPPROTO_ICMP : IPPROTO_ICMPV6);
  if (fd < 0) return null;
  const filter = new Uint8Array(family === 4 ? 4 : 32).fill(0xff);
  const type = family === 4 ? DESTINATION_UNREACHABLE : PACKET_TOO_BIG;
  // Types below 32 are in the first word.
  new DataView(filter.buffer).setUint32(0, ~(1 << type) >>> 0, true);
  if (setSocketOption(fd, family === 4 ? SOL_RAW : IPPROTO_ICMPV6, FILTER, filter)) return fd;
  libc.close(fd);
  return null;
}
