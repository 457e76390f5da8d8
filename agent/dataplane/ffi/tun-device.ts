import type { Arena } from "./arena.ts";
import { Errno, errno, libc } from "./native.ts";
import { withScratch } from "./scratch.ts";

/*
 * TUN devices (Linux Documentation/networking/tuntap): IP packets without a frame, each with a virtio-net header of 10 octets in front
 * that describes segmentation and checksum offloads.
 */
export const VNET_HEADER_OCTETS = 10;
/** virtio_net_hdr: flags, gso_type, hdr_len, gso_size, csum_start, csum_offset (the 16-bit fields in host order). */
export const Vnet = { NEEDS_CSUM: 1, GSO_NONE: 0, GSO_TCPV4: 1, GSO_TCPV6: 4, GSO_UDP_L4: 5 } as const;

const O_CLOEXEC = 0o2000000;
const O_RDWR_NONBLOCK_CLOEXEC = 0o2 | 0o4000 | O_CLOEXEC;
const TUNSETIFF = 0x400454ca;
const TUNSETOFFLOAD = 0x400454d0;
const IFF_TUN_NO_PI_VNET_HDR = 0x1 | 0x1000 | 0x4000;
/** CSUM, TSO4, TSO6: exactly what segmentation.ts takes apart; it takes USO4 and USO6 apart too, where the kernel has them (Linux 6.2). */
const OFFLOADS = 1 | 2 | 4;
const USO_OFFLOADS = 0x20 | 0x40;
const SIOCSIFMTU = 0x8922;
const SIOCGIFFLAGS = 0x8913;
const SIOCSIFFLAGS = 0x8914;
const IFF_UP = 1;
const IFREQ_OCTETS = 40;

/** Creates the device, sets its MTU and takes it up. The file descriptor is its life. @throws Error with a sentence. */
export function openTun(name: string, mtu: number): number {
  const fd: number = libc.open("/dev/net/tun", O_RDWR_NONBLOCK_CLOEXEC);
  if (fd < 0) throw new Error(`/dev/net/tun cannot be opened (errno ${errno()}): the gateway needs the TUN driver and access to that file`);
  try {
    withScratch(IFREQ_OCTETS, (arena, request) => configure(arena, request, fd, name, mtu));
  } catch (error) {
    libc.close(fd);
    throw error;
  }
  return fd;
}

/** Makes the device again after it was deleted, and puts it in the place of its old descriptor, for whoever holds that. @throws Error with a sentence. */
export function reopenTun(fd: number, name: string, mtu: number): void {
  const fresh = openTun(name, mtu);
  const replaced = libc.dup3(fresh, fd, O_CLOEXEC) === fd;
  const code = errno();
  libc.close(fresh);
  if (!replaced) throw new Error(`the TUN device ${name} could not take the place of the one that was deleted (errno ${code})`);
}

function configure(arena: Arena, request: number, fd: number, name: string, mtu: number): void {
  arena.bytes.set(new TextEncoder().encode(name), request);
  arena.view.setUint16(request + 16, IFF_TUN_NO_PI_VNET_HDR, true);
  if (libc.ioctl(fd, TUNSETIFF, arena.address + request) !== 0) {
    const code = errno();
    if (code === Errno.EBUSY) throw new Error(`the TUN device ${name} is in use by another program: choose another tunName`);
    throw new Error(`the TUN device ${name} cannot be made (errno ${code}): the gateway needs the capability NET_ADMIN`);
  }
  const offloaded = libc.ioctl(fd, TUNSETOFFLOAD, OFFLOADS | USO_OFFLOADS) === 0 || libc.ioctl(fd, TUNSETOFFLOAD, OFFLOADS) === 0;
  if (!offloaded) throw new Error(`the TUN device ${name} takes no offloads (errno ${errno()})`);
  const socket: number = libc.socket(2, 2, 0);
  arena.view.setUint32(request + 16, mtu, true);
  const mtuSet = libc.ioctl(socket, SIOCSIFMTU, arena.address + request) === 0;
  libc.ioctl(socket, SIOCGIFFLAGS, arena.address + request);
  arena.view.setUint16(request + 16, arena.view.getUint16(request + 16, true) | IFF_UP, true);
  const up = libc.ioctl(socket, SIOCSIFFLAGS, arena.address + request) === 0;
  libc.close(socket);
  if (!mtuSet || !up) throw new Error(`the TUN device ${name} could not be given an MTU of ${mtu} and taken up (errno ${errno()})`);
}
