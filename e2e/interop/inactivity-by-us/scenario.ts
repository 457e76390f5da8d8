import { equal, match, notEqual, ok } from "node:assert/strict";
import { pollUntil } from "../../lib/poll.ts";
import { pingUntilAnswered, startPing } from "../../lib/traffic.ts";
import { expectTraffic, expectUp, linkId, type Scenario } from "../scenario.ts";

export const scenario: Scenario = {
  name: "inactivity-by-us",
  description: "A link on demand closes what carries nothing for 3 s, also at the peer; traffic keeps it, and the next packet brings it back",
  async run(context) {
    const peer = await context.startPeer();
    const us = await context.startUs({ initiate: "onDemand", inactivitySeconds: 3 });
    await pingUntilAnswered(context.net.left, context.net.right, 10_000);
    const first = await expectUp(context, us, peer);
    ok(first.child.closesAt !== null, "status does not say when it is closed");
    // Echoes for longer than the time: it is used.
    const { left, right } = context.net;
    const pinging = await startPing(left, right, 0.5);
    match(await us.commandLine(["status"]), /, closed in \d s unless a packet passes/);
    await pollUntil("echoes for 4 s", 15_000, async () => (pinging.answered() >= 8 ? true : undefined));
    equal((await pinging.stop()).lost, 0);
    equal((await us.link(linkId)).ikeSas[0]?.childSas[0]?.inboundSpi, first.child.inboundSpi);
    await us.waitForLink(linkId, "to have closed what is idle", ({ ikeSas }) => (ikeSas.length === 0 ? true : undefined));
    equal((await peer.listSas()).length, 0);
    match(peer.log(), /received DELETE for IKE_SA site/);
    const told = (await us.trace(linkId)).find(({ exchange }) => exchange === "INACTIVITY");
    match(told?.summary ?? "", /^No packet has passed through "net" for [34] s: it is closed until it is needed\.$/);
    await pingUntilAnswered(context.net.left, context.net.right, 10_000);
    const second = await expectUp(context, us, peer);
    notEqual(second.ike.spiI, first.ike.spiI);
    await expectTraffic(context);
  },
};
