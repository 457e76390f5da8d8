import { equal, match } from "node:assert/strict";
import { expectNewChild, expectUp, linkId, withoutLoss, type Context, type Scenario } from "./scenario.ts";

/** A scenario with a NAT on both sides: neither end sees the other's address, and UDP 500 and 4500 of the one that waits are forwarded to it. */
export function doubleNat(name: string, initiator: "us" | "peer"): Scenario {
  return {
    name,
    description: `Both ends sit behind a NAT, ${initiator === "us" ? "we initiate" : "the peer initiates"}: detected on both sides, traffic and rekeys from both ends pass`,
    async run(context) {
      await natOnBothSides(context);
      // Each end knows the other's NAT, or waits for whoever calls.
      const peer = await context.startPeer({ connection: { remote_addrs: initiator === "us" ? "%any" : "198.51.100.254" } });
      const us = await context.startUs(
        initiator === "us" ? { remote: { address: "192.0.2.254", identity: "right.example" } } : { initiate: "respond", remote: { identity: "right.example" } },
      );
      if (initiator === "peer") await peer.initiate("net");
      const first = await expectUp(context, us, peer);
      equal(first.ike.nat, "both");
      equal(first.child.encapsulation, "udp");
      match(first.ike.remoteEndpoint, /^192\.0\.2\.254:/);
      match(peer.log(), /local host is behind NAT/);
      match(peer.log(), /remote host is behind NAT/);
      await withoutLoss(context, async () => {
        await us.rekey(linkId, "all");
        await expectNewChild(us, first.child.inboundSpi);
        const second = await expectUp(context, us, peer);
        await peer.rekey({ child: "net" });
        await expectNewChild(us, second.child.inboundSpi);
        await peer.rekey({ ike: "site" });
      });
      const last = await expectUp(context, us, peer);
      equal(last.ike.nat, "both");
    },
  };
}

/** What either site sends carries the middle's address at the other, and what is sent to the middle's IKE ports reaches the site behind. */
async function natOnBothSides({ net }: Context): Promise<void> {
  const rules = `table ip nat {
 chain in {
  type nat hook prerouting priority -100;
  iifname "left0" ip daddr 192.0.2.254 udp dport { 500, 4500 } dnat to 198.51.100.1
  iifname "right0" ip daddr 198.51.100.254 udp dport { 500, 4500 } dnat to 192.0.2.1
 }
 chain out {
  type nat hook postrouting priority 100;
  oifname "right0" ip saddr 192.0.2.0/24 masquerade
  oifname "left0" ip saddr 198.51.100.0/24 masquerade
 }
}
`;
  await net.middle.run(["nft", "-f", "-"], { input: rules });
}
