import { deepEqual } from "node:assert/strict";
import { pollUntil } from "../../lib/poll.ts";
import { expectNoTraffic, expectUp, linkId, type Scenario } from "../scenario.ts";

export const scenario: Scenario = {
  name: "delete-ike-by-us",
  description: "We take the link down: the peer's SAs are gone, nothing passes in the clear; we take it up again",
  async run(context) {
    const peer = await context.startPeer();
    const us = await context.startUs();
    const before = await expectUp(context, us, peer);
    await us.down(linkId);
    await pollUntil("the peer to have no SA", 5_000, async () => ((await peer.listSas()).length === 0 ? true : undefined));
    const { ikeSas } = await us.waitForLink(linkId, "to be down", (link) => (link.state === "down" && link.ikeSas.length === 0 ? link : undefined));
    deepEqual(ikeSas, []);
    await expectNoTraffic(context);
    await us.up(linkId);
    const after = await expectUp(context, us, peer);
    deepEqual([after.ike.spiI === before.ike.spiI, after.child.inboundSpi === before.child.inboundSpi], [false, false]);
  },
};
