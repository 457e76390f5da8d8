import { deepEqual, equal, ok } from "node:assert/strict";
import { addInside, addOutsideIpv6 } from "../../lib/addresses.ts";
import type { ThreeNamespaces } from "../../lib/namespaces.ts";
import { pollUntil } from "../../lib/poll.ts";
import { ping } from "../../lib/traffic.ts";
import { innerOf, narrow, pathMtuOf } from "../path-mtu.ts";
import { type Context, linkId, type Scenario } from "../scenario.ts";

const IPV4_AND_ICMP = 28;
const IPV6_AND_ICMP = 48;
/** What every IPv6 link carries, in or out of a tunnel (RFC 8200 §5). */
const IPV6_LEAST_MTU = 1_280;

export const scenario: Scenario = {
  name: "path-mtu-ipv6",
  description:
    "An IPv6 path takes 1,400, 1,300 or 1,280 octets and says nothing of what it drops: found out, and IPv4 and IPv6 packets of every size pass each way, those of 1,280 octets in outer fragments",
  async run(context) {
    const net = await addOutsideIpv6(context.net);
    const six = { left: await addInside(net.left, "fd00:1::1/64"), right: await addInside(net.right, "fd00:2::1/64") };
    await narrow(net, 1_400, true);
    for (const octets of [1_400, 1_300, 1_280]) await carryAllSizes(context, net, six, octets);
  },
};

async function carryAllSizes(context: Context, net: ThreeNamespaces, six: Pick<ThreeNamespaces, "left" | "right">, octets: number): Promise<void> {
  for (const [network, device] of [
    ["2001:db8:1::/64", "left0"],
    ["2001:db8:2::/64", "right0"],
  ] as const)
    await net.middle.run(["ip", "-6", "route", "replace", network, "dev", device, "metric", "256", "mtu", String(octets)]);
  const addresses = { left: net.left.outsideAddress, right: net.right.outsideAddress };
  const children = (local: number, remote: number) => [
    { name: "four", localNetworks: [`10.${local}.0.0/24`], remoteNetworks: [`10.${remote}.0.0/24`] },
    { name: "six", localNetworks: [`fd00:${local}::/64`], remoteNetworks: [`fd00:${remote}::/64`] },
  ];
  const right = await context.startUsAtRight({
    local: { address: addresses.right, identity: "right.example" },
    remote: { address: addresses.left, identity: "left.example" },
    children: children(2, 1),
  });
  const left = await context.startUs({
    local: { address: addresses.left, identity: "left.example" },
    remote: { address: addresses.right, identity: "right.example" },
    children: children(1, 2),
  });
  const before = await left.waitUntilUp(linkId);
  const found = await Promise.all([pathMtuOf(left), pathMtuOf(right)]);
  context.note(`${octets}: ${found.join(" and ")} octets`);
  for (const size of found) ok(size <= octets && size > octets - 16, `${size} octets`);
  const largest = innerOf(Math.min(...found), 40);
  const whole = { count: 3, forbidFragments: true };
  for (const [from, to] of [
    [net.left, net.right],
    [net.right, net.left],
  ] as const) {
    equal((await ping(from, to, { ...whole, payloadBytes: largest - IPV4_AND_ICMP })).lost, 0);
    equal((await ping(from, to, { ...whole, payloadBytes: largest - IPV4_AND_ICMP + 1 })).received, 0);
    equal((await ping(from, to, { count: 3, payloadBytes: 4_000 })).lost, 0);
  }
  for (const [from, to] of [
    [six.left, six.right],
    [six.right, six.left],
  ] as const) {
    for (const size of [largest, Math.min(largest + 1, IPV6_LEAST_MTU), IPV6_LEAST_MTU])
      equal((await ping(from, to, { ...whole, payloadBytes: size - IPV6_AND_ICMP })).lost, 0, `${size} octets of IPv6 in ${octets}`);
    // Cut by the sender once each end is told, and the pieces by us.
    const echo = { count: 1, payloadBytes: 4_000 };
    await pollUntil("both ends to know the size", 5_000, async () => ((await ping(from, to, echo)).received === 1 ? true : undefined));
    equal((await ping(from, to, { ...echo, count: 3 })).lost, 0);
  }
  deepEqual((await left.waitUntilUp(linkId)).ike.spiI, before.ike.spiI);
  await Promise.all([left.stop(), right.stop()]);
}
