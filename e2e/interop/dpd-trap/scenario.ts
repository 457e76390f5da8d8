import { equal } from "node:assert/strict";
import { expectTraffic, expectUp, linkId, type Scenario } from "../scenario.ts";

export const scenario: Scenario = {
  name: "dpd-trap",
  description: "The peer dies and the link is set to trap: its SAs go, nothing is begun by itself, and the next packet brings it up again",
  async run(context) {
    const peer = await context.startPeer();
    const us = await context.startUs({ ike: { proposals: ["aes256gcm16-prfsha384-x25519"], livenessSeconds: 1, livenessAction: "trap" } });
    await expectUp(context, us, peer);
    await peer.kill();
    await us.waitForLink(linkId, "to have no IKE SA", (link) => (link.ikeSas.length === 0 ? true : undefined), 60_000);
    const again = await context.startPeer();
    equal(/IKE_SA_INIT/.test(again.log()), false, "something was begun without a packet");
    const { left, right } = context.net;
    await left.run(["ping", "-q", "-c", "10", "-i", "0.3", "-W", "1", "-I", left.insideAddress, right.insideAddress], { timeoutMilliseconds: 10_000 });
    await expectUp(context, us, again);
    await expectTraffic(context);
  },
};
