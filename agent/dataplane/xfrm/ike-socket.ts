import { errno, libc } from "../ffi/native.ts";
import { believeRouters, openUdpSocket, setSocketOption, SOL_UDP } from "../ffi/udp-socket.ts";
import { socketBypass } from "./policy-messages.ts";
import type { AddressFamily } from "./xfrm-structures.ts";

const SOL_IP = 0;
const IP_XFRM_POLICY = 17;
const SOL_IPV6 = 41;
const IPV6_XFRM_POLICY = 35;
const UDP_ENCAP = 100;
const UDP_ENCAP_ESPINUDP = 2;

/** A UDP socket whose own packets no policy touches, bound to one address; null when the machine has no such family. @throws Error with a sentence. */
export function openBypassedSocket(address: string, port: number): number | null {
  const family = address.includes(":") ? 6 : 4;
  return bypassed(family, openUdpSocket(family, port, { address, single: true }));
}

/** The socket of the NAT-T port: the kernel takes ESP and keepalives out of what it receives (RFC 3948), IKE is left. As `openBypassedSocket`. */
export function openNatSocket(family: AddressFamily, port: number): number | null {
  const fd = bypassed(family, openUdpSocket(family, port, { single: true }));
  if (fd !== null && !setSocketOption(fd, SOL_UDP, UDP_ENCAP, int(UDP_ENCAP_ESPINUDP))) throw refused(fd, "takes no ESP out of UDP");
  return fd;
}

/** IKE must not go through the tunnel that it makes, whatever the policies say (RFC 4301 §4.4.1). */
function bypassed(family: AddressFamily, fd: number | null): number | null {
  if (fd === null) return null;
  // Nobody here searches the path or makes fragments: the kernel, whose ESP it is, must hear what routers say of it.
  if (family === 6) believeRouters(fd);
  const [level, name] = family === 4 ? [SOL_IP, IP_XFRM_POLICY] : [SOL_IPV6, IPV6_XFRM_POLICY];
  for (const direction of ["in", "out"] as const)
    if (!setSocketOption(fd, level, name, socketBypass(family, direction))) throw refused(fd, "excepts no socket from its policies");
  return fd;
}

function refused(fd: number, what: string): Error {
  const code = errno();
  libc.close(fd);
  return new Error(`the kernel ${what} (errno ${code})`);
}

function int(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setInt32(0, value, true);
  return bytes;
}
