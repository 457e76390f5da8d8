import type { Site, ThreeNamespaces } from "./namespaces.ts";

/** Gives a site one more inside network. @param prefix the site's address in it, such as `10.11.0.1/24`. @returns the site as seen from there. */
export async function addInside(site: Site, prefix: string): Promise<Site> {
  const isIpv6 = prefix.includes(":");
  if (isIpv6) await site.run(["sysctl", "-qw", "net.ipv6.conf.in0.disable_ipv6=0", "net.ipv6.conf.all.forwarding=1"]);
  await site.run(["ip", "address", "add", prefix, "dev", "in0", ...(isIpv6 ? ["nodad"] : [])]);
  return { ...site, insideAddress: prefix.replace(/\/.*$/, ""), network: prefix };
}

const outside = { left: "2001:db8:1", right: "2001:db8:2" } as const;

/** The outside addresses that `addOutsideIpv6` gives. */
export const outsideIpv6 = { left: "2001:db8:1::1", right: "2001:db8:2::1" } as const;

/** The same for a host in user-mode Linux in the right site's place, to whose kernel the cable's far end is `vec0` and not a namespace. */
export async function addOutsideIpv6ToKernelHost({ left, middle }: ThreeNamespaces, host: Pick<Site, "run">): Promise<void> {
  await middle.run(["sysctl", "-qw", "net.ipv6.conf.all.forwarding=1"]);
  for (const side of ["left", "right"] as const) {
    await middle.run(["sysctl", "-qw", `net.ipv6.conf.${side}0.disable_ipv6=0`, `net.ipv6.conf.${side}0.accept_dad=0`]);
    await middle.run(["ip", "address", "add", `${outside[side]}::fe/64`, "dev", `${side}0`, "nodad"]);
  }
  for (const [site, device, side] of [
    [left, left.outsideDevice, "left"],
    [host, "vec0", "right"],
  ] as const) {
    const commands = [
      `sysctl -qw net.ipv6.conf.${device}.disable_ipv6=0 net.ipv6.conf.${device}.accept_dad=0`,
      `ip address add ${outside[side]}::1/64 dev ${device} nodad`,
      `ip -6 route add default via ${outside[side]}::fe`,
    ];
    await site.run(["bash", "-ec", commands.join("\n")]);
  }
}

/** Gives the cables between the sites IPv6 as well. @returns the sites with their outside addresses in IPv6. */
export async function addOutsideIpv6(net: ThreeNamespaces): Promise<ThreeNamespaces> {
  await net.middle.run(["sysctl", "-qw", "net.ipv6.conf.all.forwarding=1"]);
  for (const side of ["left", "right"] as const) {
    const network = outside[side];
    const device = `${side}0`;
    await net.middle.run(["sysctl", "-qw", `net.ipv6.conf.${device}.disable_ipv6=0`, `net.ipv6.conf.${device}.accept_dad=0`]);
    await net.middle.run(["ip", "address", "add", `${network}::fe/64`, "dev", device, "nodad"]);
    const site = net[side];
    await site.run(["sysctl", "-qw", `net.ipv6.conf.${site.outsideDevice}.disable_ipv6=0`, `net.ipv6.conf.${site.outsideDevice}.accept_dad=0`]);
    await site.run(["ip", "address", "add", `${network}::1/64`, "dev", site.outsideDevice, "nodad"]);
    await site.run(["ip", "-6", "route", "add", "default", "via", `${network}::fe`]);
  }
  return { ...net, left: { ...net.left, outsideAddress: `${outside.left}::1` }, right: { ...net.right, outsideAddress: `${outside.right}::1` } };
}
