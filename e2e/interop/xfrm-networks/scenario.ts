import { onKernelPlanes } from "../kernel-plane.ts";

export const scenario = onKernelPlanes("xfrm-networks", "the peer initiates, UDP where no NAT is, several selectors, IPv6 in IPv6 and in IPv4", [
  "psk-respond",
  "force-encapsulation",
  "several-selectors",
  "ipv6-in-ipv6",
  "ipv6-in-ipv4",
]);
