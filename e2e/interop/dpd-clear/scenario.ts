import { equal } from "node:assert/strict";
import { expectNoTraffic, expectUp, linkId, type Scenario } from "../scenario.ts";

export const scenario: Scenario = {
  name: "dpd-clear",
  description: "The peer dies and the link is set to clear: its SAs go, nothing is begun anew by itself nor by traffic, and the peer's own call brings it up",
  async run(context) {
    const peer = await context.startPeer();
    const us = await context.startUs({ ike: { proposals: ["aes256gcm16-prfsha384-x25519"], livenessSeconds: 1, livenessAction: "clear" } });
    await expectUp(context, us, peer);
    await peer.kill();
    await us.waitForLink(linkId, "to have no IKE SA", (link) => (link.ikeSas.length === 0 ? true : undefined), 60_000);
    const again = await context.startPeer();
    await expectNoTraffic(context);
    equal(/IKE_SA_INIT/.test(again.log()), false, "something was begun anew");
    await again.initiate("net");
    await expectUp(context, us, again);
  },
};
