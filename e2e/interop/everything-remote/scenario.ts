import { equal } from "node:assert/strict";
import { addInside } from "../../lib/addresses.ts";
import { ping } from "../../lib/traffic.ts";
import { expectTraffic, expectUp, type Scenario } from "../scenario.ts";

const everything = "0.0.0.0/0";

/** Runs inside xfrm-on-demand: without a device it is policies that decide, and they must leave IKE and the local network alone. */
export const scenario: Scenario = {
  name: "everything-remote",
  description: "a remote network of 0.0.0.0/0: everything goes through the tunnel but IKE and what stays in the local network",
  onlyKernelPlane: true,
  async run(context) {
    const { net } = context;
    const far = await addInside(net.right, "203.0.113.1/32");
    const near = await addInside(net.left, "10.1.0.9/24");
    const peer = await context.startPeer({ child: { local_ts: everything }, daemon: { install_routes: false } });
    const us = await context.startUs({ children: [{ name: "net", localNetworks: ["10.1.0.0/24"], remoteNetworks: [everything] }] });
    await expectUp(context, us, peer);
    await expectTraffic({ net: { left: net.left, right: far } });
    equal((await ping(net.left, near, { count: 3 })).received, 3);
    await us.rekey("link", "ike");
    await expectUp(context, us, peer);
  },
};
