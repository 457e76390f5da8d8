import { match } from "node:assert/strict";
import { addInside, addOutsideIpv6 } from "../lib/addresses.ts";
import { expectNewChild, expectUp, linkId, withoutLoss, type Scenario } from "./scenario.ts";

/** A scenario with these versions of IP inside and outside of the tunnel, one of them IPv6. */
export function familyScenario(name: string, inside: 4 | 6, outside: 4 | 6): Scenario {
  return {
    name,
    description: `IPv${inside} inside IPv${outside}: traffic both ways, rekeyed from both ends with 0 lost`,
    async run(context) {
      const ends = outside === 6 ? await addOutsideIpv6(context.net) : context.net;
      const net = inside === 6 ? { ...ends, left: await addInside(ends.left, "fd00:1::1/64"), right: await addInside(ends.right, "fd00:2::1/64") } : ends;
      // Without a tunnel's device the kernel wants a route for IPv6 along the cable.
      if (inside === 6 && context.esp === "kernel")
        for (const site of [context.net.left, context.net.right]) await site.run(["sysctl", "-qw", `net.ipv6.conf.${site.outsideDevice}.disable_ipv6=0`]);
      const place = { net, note: (text: string) => context.note(text) };
      const networks = inside === 6 ? { left: "fd00:1::/64", right: "fd00:2::/64" } : { left: "10.1.0.0/24", right: "10.2.0.0/24" };
      const addresses = { left: net.left.outsideAddress, right: net.right.outsideAddress };
      const peer = await context.startPeer({
        connection: { local_addrs: addresses.right, remote_addrs: addresses.left },
        child: { local_ts: networks.right, remote_ts: networks.left },
      });
      const us = await context.startUs({
        local: { address: addresses.left, identity: "left.example" },
        remote: { address: addresses.right, identity: "right.example" },
        children: [{ name: "net", localNetworks: [networks.left], remoteNetworks: [networks.right] }],
      });
      const first = await expectUp(place, us, peer);
      match(first.ike.remoteEndpoint, outside === 6 ? /2001:db8:2::1/ : /198\.51\.100\.1/);
      await withoutLoss(place, async () => {
        await us.rekey(linkId, "all");
        await expectNewChild(us, first.child.inboundSpi);
        const second = await expectUp(place, us, peer);
        await peer.rekey({ child: "net" });
        await expectNewChild(us, second.child.inboundSpi);
        await peer.rekey({ ike: "site" });
      });
      await expectUp(place, us, peer);
    },
  };
}
