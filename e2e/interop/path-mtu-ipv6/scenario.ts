import { deepEqual, equal, ok } from "node:assert/strict";
import { addOutsideIpv6 } from "../../lib/addresses.ts";
import { ping } from "../../lib/traffic.ts";
import { innerOf, narrow, pathMtuOf } from "../path-mtu.ts";
import type { Scenario } from "../scenario.ts";

export const scenario: Scenario = {
  name: "path-mtu-ipv6",
  description: "An IPv6 path takes 1,400 octets and says nothing of what it drops: found out, and packets of every size pass each way",
  async run(context) {
    const net = await addOutsideIpv6(context.net);
    for (const [network, device] of [
      ["2001:db8:1::/64", "left0"],
      ["2001:db8:2::/64", "right0"],
    ] as const)
      await net.middle.run(["ip", "-6", "route", "replace", network, "dev", device, "metric", "256", "mtu", "1400"]);
    await narrow(net, 1_400, true);
    const addresses = { left: net.left.outsideAddress, right: net.right.outsideAddress };
    const right = await context.startUsAtRight({
      local: { address: addresses.right, identity: "right.example" },
      remote: { address: addresses.left, identity: "left.example" },
    });
    const left = await context.startUs({
      local: { address: addresses.left, identity: "left.example" },
      remote: { address: addresses.right, identity: "right.example" },
    });
    const before = await left.waitUntilUp("link");
    const found = await Promise.all([pathMtuOf(left), pathMtuOf(right)]);
    context.note(`${found.join(" and ")} octets`);
    for (const octets of found) ok(octets <= 1_400 && octets > 1_384, `${octets} octets`);
    const largest = innerOf(Math.min(...found), 40);
    for (const [from, to] of [
      [net.left, net.right],
      [net.right, net.left],
    ] as const) {
      equal((await ping(from, to, { count: 3, forbidFragments: true, payloadBytes: largest - 28 })).lost, 0);
      equal((await ping(from, to, { count: 3, forbidFragments: true, payloadBytes: largest - 27 })).received, 0);
      equal((await ping(from, to, { count: 3, payloadBytes: 4_000 })).lost, 0);
    }
    deepEqual((await left.waitUntilUp("link")).ike.spiI, before.ike.spiI);
  },
};
