import { deepEqual, equal, ok } from "node:assert/strict";
import { join } from "node:path";
import { setTimeout as elapsed } from "node:timers/promises";
import { startCapture } from "../../lib/capture.ts";
import { pollUntil } from "../../lib/poll.ts";
import { outageOf } from "../plane-fault.ts";
import { expectNoTraffic, expectSentence, expectUp, type Context, type Scenario } from "../scenario.ts";

const everything = "0.0.0.0/0";
/** How much later than its interface a default route is there: what the interface's return has set off is over then. */
const LEASE_MS = 500;
/** They go with the interface and with its last address; without them the capture would hold ARP. */
const neighbours = ["192.0.2.254", "192.0.2.253"].map((address) => `neigh replace ${address} lladdr 02:00:00:00:01:fe dev out0 nud permanent`);

/** Each ends with another way to the peer than into the tunnel, which alone is there before. */
const faults: readonly { readonly what: string; readonly make: string; readonly undo: readonly string[]; readonly lease: string; readonly gateway: string }[] =
  [
    {
      what: "the outside interface down and up",
      make: "link set out0 down",
      undo: ["link set out0 up", ...neighbours],
      lease: "route add default via 192.0.2.254",
      gateway: "192.0.2.254",
    },
    {
      what: "the outside address gone and back, with another gateway",
      make: "address del 192.0.2.1/24 dev out0",
      undo: ["address add 192.0.2.1/24 dev out0", ...neighbours],
      lease: "route add default via 192.0.2.253",
      gateway: "192.0.2.253",
    },
  ];

export const scenario: Scenario = {
  name: "fault-outside-everything",
  description:
    "Under a tunnel of 0.0.0.0/0 the outside interface goes down and up, the default route comes back later, by another gateway too: within 3 s of that traffic goes on under the same SAs, nothing is in the clear",
  async run(context) {
    const { net } = context;
    await net.middle.run(["ip", "address", "add", "192.0.2.253/24", "dev", "left0"]);
    const capture = await startCapture(net.middle, "left0", join(context.directory, "middle.pcap"));
    const peer = await context.startPeer({ child: { local_ts: everything, remote_ts: everything }, daemon: { install_routes: false } });
    await net.right.run(["ip", "route", "add", net.left.network, "dev", "ipsec0", "src", net.right.insideAddress]);
    const us = await context.startUs({ children: [{ name: "net", localNetworks: [everything], remoteNetworks: [everything] }] });
    const first = await expectUp(context, us, peer);
    for (const { what, make, undo, lease, gateway } of faults) {
      context.note(what);
      let leased = 0;
      const { began, outageMs } = await outageOf(
        context,
        async () => {
          await batch(context, [make]);
          await expectNoTraffic(context);
          await expectSentence(context, us, "ROUTE", "there is no route to the peer 198.51.100.1 beside those into a tunnel; add one to let the link reach it");
          await batch(context, undo);
          await elapsed(LEASE_MS);
          await batch(context, [lease]);
          leased = performance.now();
        },
        () => expectRoutes(context, gateway),
      );
      const backMs = began + outageMs - leased;
      ok(backMs < 3_000, `${what}: back ${backMs} ms after the default route`);
      const now = await expectUp(context, us, peer);
      deepEqual([now.ike.spiI, now.child.inboundSpi, now.child.outboundSpi], [first.ike.spiI, first.child.inboundSpi, first.child.outboundSpi], what);
    }
    context.note("another gateway, without a word of the interface");
    await batch(context, ["route replace default via 192.0.2.254"]);
    await expectRoutes(context, "192.0.2.254");
    await expectUp(context, us, peer);
    equal((await us.status()).links[0]?.state, "up");
    const clear = (await capture.stop()).filter(({ kind }) => kind === "other").map(({ ip }) => Buffer.from(ip).toString("hex"));
    deepEqual(clear, []);
  },
};

async function batch({ net }: Context, commands: readonly string[]): Promise<void> {
  await net.left.run(["ip", "-batch", "-"], { input: `${commands.join("\n")}\n` });
}

/** Waits until the peer is outside of the tunnel by way of this gateway, and everything else in it. */
async function expectRoutes({ net }: Context, gateway: string): Promise<void> {
  const wanted = ["0.0.0.0/1 dev culvert0", "128.0.0.0/1 dev culvert0", `198.51.100.1 via ${gateway} dev out0`].join("\n");
  const shown = async () =>
    (await net.left.run(["ip", "route", "show", "proto", "213"]))
      .trim()
      .replaceAll(/ (?:scope|mtu|src).*$/gm, "")
      .trimEnd();
  await pollUntil(`routes by way of ${gateway}`, 5_000, async () => ((await shown()).replaceAll(/ +$/gm, "") === wanted ? true : undefined), shown);
}
