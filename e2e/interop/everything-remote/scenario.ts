import { equal } from "node:assert/strict";
import { setTimeout as elapsed } from "node:timers/promises";
import { addInside } from "../../lib/addresses.ts";
import { pollUntil } from "../../lib/poll.ts";
import { ping } from "../../lib/traffic.ts";
import { expectTraffic, expectUp, type Scenario } from "../scenario.ts";

const everything = "0.0.0.0/0";

/** Runs inside xfrm-on-demand: without a device it is policies that decide, and they must leave IKE and the local network alone. */
export const scenario: Scenario = {
  name: "everything-remote",
  description:
    "a remote network of 0.0.0.0/0: everything goes through the tunnel but IKE and what stays in the local network, and does again when the default route has come back later than its interface",
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
    const ours = (): Promise<string> => net.left.run(["ip", "route", "show", "proto", "214"]);
    const routes = await ours();
    await net.left.run(["ip", "link", "set", "out0", "down"]);
    const undo = ["link set out0 up", "neigh replace 192.0.2.254 lladdr 02:00:00:00:01:fe dev out0 nud permanent"];
    await net.left.run(["ip", "-batch", "-"], { input: `${undo.join("\n")}\n` });
    // What the interface's return sets off is over then: the kernel tells of its carrier up to a second later.
    await elapsed(2_500);
    equal(await ours(), "");
    await net.left.run(["ip", "route", "add", "default", "via", "192.0.2.254"]);
    await pollUntil("our routes along the way to the peer", 3_000, async () => ((await ours()) === routes ? true : undefined), ours);
    await expectTraffic({ net: { left: net.left, right: far } });
    await us.rekey("link", "ike");
    await expectUp(context, us, peer);
  },
};
