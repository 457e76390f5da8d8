import type { SaProtocol } from "../../ipsec/security-association.ts";
import type { RawSockets, SocketPair } from "../ffi/raw-socket.ts";

/* What a packet leaves by: ESP in UDP, ESP as it is, or AH, each over IPv4 and IPv6. */

/** Descriptors by `socketIndex`; null: not on this machine. */
export type OuterSockets = readonly (number | null)[];

export function outerSockets(udp: SocketPair, { esp, ah, headedIpv6 }: RawSockets): OuterSockets {
  return [...udp, ...esp, ...ah, headedIpv6];
}

/** The index of the socket of IPv6 packets that come with their header: fragments of all three. */
export const HEADED_IPV6 = 6;

export function socketIndex(sa: { readonly protocol: SaProtocol; readonly encapsulation: "udp" | "none" }, family: 4 | 6): number {
  const pair = sa.protocol === "ah" ? 2 : sa.encapsulation === "none" ? 1 : 0;
  return 2 * pair + (family === 4 ? 0 : 1);
}

/** Why an SA cannot be carried, in a sentence; null: it can. */
export function withoutSocket(
  sa: {
    readonly protocol: SaProtocol;
    readonly mode: "tunnel" | "transport";
    readonly encapsulation: "udp" | "none";
  },
  family: 4 | 6,
  { esp, ah }: RawSockets,
): string | null {
  if (sa.mode === "transport") return "the TUN plane has no transport mode: packets between the gateways' own addresses do not pass its device";
  if (sa.encapsulation === "udp") return sa.protocol === "ah" ? "AH does not go in UDP" : null;
  const [fd4, fd6] = sa.protocol === "ah" ? ah : esp;
  if ((family === 4 ? fd4 : fd6) !== null) return null;
  const what = sa.protocol === "ah" ? "AH" : "ESP without UDP";
  return `the TUN plane has no socket for ${what} over IPv${family}: it needs CAP_NET_RAW`;
}
