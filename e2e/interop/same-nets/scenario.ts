import { deepEqual } from "node:assert/strict";
import { addInside } from "../../lib/addresses.ts";
import type { Site } from "../../lib/namespaces.ts";
import { ping } from "../../lib/traffic.ts";
import { expectNewChild, linkId, type Scenario } from "../scenario.ts";

/** The network that both sites have, and how each is seen by the other. */
const [real, leftSeen, rightSeen] = ["10.1.0.0/24", "10.11.0.0/24", "10.12.0.0/24"];

export const scenario: Scenario = {
  name: "same-nets",
  description: "Both sites have 10.1.0.0/24: each sees the other under a network of its own (nftables maps 1:1 at both gateways), rekeyed from both ends",
  async run(context) {
    const { left } = context.net;
    const right = await addInside(context.net.right, "10.1.0.1/24");
    await right.run(["ip", "address", "delete", "10.2.0.1/24", "dev", "in0"]);
    // charon's userspace ESP wants an address of its own inside each local network.
    await right.run(["ip", "address", "add", "10.12.0.254/32", "dev", "in0"]);
    await mapNetwork(left, "culvert0", leftSeen, rightSeen);
    await mapNetwork(right, "ipsec0", rightSeen, leftSeen);
    const peer = await context.startPeer({ child: { local_ts: rightSeen, remote_ts: leftSeen } });
    const us = await context.startUs({ children: [{ name: "net", localNetworks: [leftSeen], remoteNetworks: [rightSeen] }] });
    /** Each speaks from its real address to the one that the other is seen under. */
    const echoes = async () => {
      const [out, back] = [
        ping(left, { ...right, insideAddress: "10.12.0.1" }, { count: 10 }),
        ping(right, { ...left, insideAddress: "10.11.0.1" }, { count: 10 }),
      ];
      deepEqual([(await out).received, (await back).received], [10, 10]);
    };
    const { child: first } = await us.waitUntilUp(linkId);
    deepEqual([first.localNetworks, first.remoteNetworks], [[leftSeen], [rightSeen]]);
    await echoes();
    await us.rekey(linkId, "child");
    const second = await expectNewChild(us, first.inboundSpi);
    await echoes();
    await peer.rekey({ child: "net" });
    await expectNewChild(us, second.inboundSpi);
    await echoes();
    const [ike, ...more] = await peer.listSas();
    deepEqual([more.length, ike?.children.filter(({ state }) => state === "INSTALLED").map(({ localSelectors }) => localSelectors)], [0, [[rightSeen]]]);
  },
};

async function mapNetwork(site: Site, device: string, seen: string, other: string): Promise<void> {
  const rules = `table ip same_nets {
 chain out {
  type nat hook postrouting priority srcnat;
  oifname "${device}" ip daddr ${other} snat ip prefix to ip saddr map { ${real} : ${seen} }
 }
 chain in {
  type nat hook prerouting priority dstnat;
  iifname "${device}" ip saddr ${other} dnat ip prefix to ip daddr map { ${seen} : ${real} }
 }
}
`;
  await site.run(["nft", "-f", "-"], { input: rules });
}
