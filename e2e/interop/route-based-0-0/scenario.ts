import { deepEqual } from "node:assert/strict";
import { addInside } from "../../lib/addresses.ts";
import { expectNewChild, expectTraffic, expectUp, linkId, type Scenario } from "../scenario.ts";

const everything = "0.0.0.0/0";

export const scenario: Scenario = {
  name: "route-based-0-0",
  description: "Selectors of 0.0.0.0/0 on both sides: routes alone decide what goes through the tunnel, the gateways reach each other outside of it",
  async run(context) {
    const { net } = context;
    // Reached by its own route: an address that no selector of a usual link would name.
    const far = await addInside(net.right, "203.0.113.1/32");
    const peer = await context.startPeer({ child: { local_ts: everything, remote_ts: everything }, daemon: { install_routes: false } });
    await net.right.run(["ip", "route", "add", "10.1.0.0/24", "dev", "ipsec0", "src", net.right.insideAddress]);
    const us = await context.startUs({ children: [{ name: "net", localNetworks: [everything], remoteNetworks: [everything] }] });
    const first = await expectUp(context, us, peer);
    deepEqual([first.child.localNetworks, first.child.remoteNetworks], [[everything], [everything]]);
    await expectTraffic({ net: { left: net.left, right: far } });
    await us.rekey(linkId, "child");
    await expectNewChild(us, first.child.inboundSpi);
    const second = await expectUp(context, us, peer);
    await peer.rekey({ child: "net" });
    await expectNewChild(us, second.child.inboundSpi);
    await peer.rekey({ ike: "site" });
    await expectUp(context, us, peer);
    await expectTraffic({ net: { left: net.left, right: far } });
  },
};
