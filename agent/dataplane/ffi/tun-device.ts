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
const TUNGETIFF = 0x800454d2;
const TUNSETQUEUE = 0x400454d9;
const IFF_TUN_NO_PI_VNET_HDR = 0x1 | 0x1000 | 0x4000;
const IFF_MULTI_QUEUE = 0x100;
const IFF_DETACH_QUEUE = 0x400;
/** CSUM, TSO4, TSO6: exactly what segmentation.ts takes apart; it takes USO4 and USO6 apart too, where the kernel has them (Linux 6.2). */
const OFFLOADS = 1 | 2 | 4;
const USO_OFFLOADS = 0x20 | 0x40;
const SIOCSIFMTU = 0x8922;
const SIOCGIFFLAGS = 0x8913;
const SIOCSIFFLAGS = 0x8914;
const IFF_UP = 1;
const IFREQ_OCTETS = 40;

/** The device's descriptors: its life. One is all of them where there is one queue. */
export interface Tun {
  /** One for each queue to be read; the kernel puts all packets of a flow into the same. */
  readonly queues: readonly number[];
  /**
   * For what goes to the inside, one for each that writes. With several queues or writers it is none of the queues: the kernel would take each packet that
   * is written to a queue as a wish to have its flow's answers there, and one writer would draw all flows to its own.
   */
  readonly writers: readonly number[];
  /** The kernel takes many datagrams of a flow as one packet that says how it is to be cut (Linux 6.2). */
  readonly takesDatagrams: boolean;
}

/** Creates the device with so many queues, and descriptors to write to, sets its MTU and takes it up. @throws Error with a sentence. */
export function openTun(name: string, mtu: number, queues = 1, writers = 1): Tun {
  if (queues === 1 && writers === 1) {
    const fd = openQueue(name, IFF_TUN_NO_PI_VNET_HDR, mtu);
    return { queues: [fd], writers: [fd], takesDatagrams: takesDatagrams(fd) };
  }
  const fds: number[] = [];
  try {
    for (let queue = 0; queue < queues + writers; queue++) fds.push(openQueue(name, IFF_TUN_NO_PI_VNET_HDR | IFF_MULTI_QUEUE, queue === 0 ? mtu : null));
    for (const fd of fds.slice(queues)) detach(fd, name);
    return { queues: fds.slice(0, queues), writers: fds.slice(queues), takesDatagrams: takesDatagrams(fds[0]!) };
  } catch (error) {
    for (const fd of fds) libc.close(fd);
    throw error;
  }
}

/** Each of them, to be closed once. */
export function tunFds({ queues, writers }: Tun): number[] {
  return [...new Set([...queues, ...writers])];
}

/** Makes the device again after it was deleted, and puts it in the place of its old descriptors, for whoever holds those. @throws Error with a sentence. */
export function reopenTun(tun: Tun, name: string, mtu: number): void {
  const fresh = tunFds(openTun(name, mtu, tun.queues.length, tun.writers.length));
  const codes = tunFds(tun).map((fd, index) => (libc.dup3(fresh[index]!, fd, O_CLOEXEC) === fd ? 0 : errno()));
  for (const fd of fresh) libc.close(fd);
  const failed = codes.find((code) => code !== 0);
  if (failed !== undefined) throw new Error(`the TUN device ${name} could not take the place of the one that was deleted (errno ${failed})`);
}

/** False once the device of this descriptor has been deleted. */
export function hasDevice(fd: number): boolean {
  return withScratch(IFREQ_OCTETS, (arena, request) => libc.ioctl(fd, TUNGETIFF, arena.address + request) === 0);
}

/** `mtu`: null for a queue beside others of a device that is up. */
function openQueue(name: string, flags: number, mtu: number | null): number {
  const fd: number = libc.open("/dev/net/tun", O_RDWR_NONBLOCK_CLOEXEC);
  if (fd < 0) throw new Error(`/dev/net/tun cannot be opened (errno ${errno()}): the gateway needs the TUN driver and access to that file`);
  try {
    withScratch(IFREQ_OCTETS, (arena, request) => {
      attach(arena, request, fd, name, flags);
      if (mtu !== null) configure(arena, request, fd, name, mtu);
    });
  } catch (error) {
    libc.close(fd);
    throw error;
  }
  return fd;
}

/** What a kernel leaves to be cut by us it also cuts for us: both came at once. */
function takesDatagrams(fd: number): boolean {
  return libc.ioctl(fd, TUNSETOFFLOAD, OFFLOADS | USO_OFFLOADS) === 0;
}

function detach(fd: number, name: string): void {
  withScratch(IFREQ_OCTETS, (arena, request) => {
    arena.view.setUint16(request + 16, IFF_DETACH_QUEUE, true);
    if (libc.ioctl(fd, TUNSETQUEUE, arena.address + request) !== 0) throw new Error(`the TUN device ${name} keeps a queue (errno ${errno()})`);
  });
}

function attach(arena: Arena, request: number, fd: number, name: string, flags: number): void {
  arena.bytes.set(new TextEncoder().encode(name), request);
  arena.view.setUint16(request + 16, flags, true);
  if (libc.ioctl(fd, TUNSETIFF, arena.address + request) !== 0) {
    const code = errno();
    if (code === Errno.EBUSY) throw new Error(`the TUN device ${name} is in use by another program: choose another tunName`);
    throw new Error(`the TUN device ${name} cannot be made (errno ${code}): the gateway needs the capability NET_ADMIN`);
  }
}

function configure(arena: Arena, request: number, fd: number, name: string, mtu: number): void {
  const offloaded = takesDatagrams(fd) || libc.ioctl(fd, TUNSETOFFLOAD, OFFLOADS) === 0;
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
