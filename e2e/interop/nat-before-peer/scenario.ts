import { match } from "node:assert/strict";
import { expectUp, linkId, withoutLoss, type Scenario } from "../scenario.ts";

export const scenario: Scenario = {
  name: "nat-before-peer",
  description: "The peer sits behind a NAT and initiates: detected, traffic and rekeys from both ends pass",
  async run(context) {
    await context.masquerade("left0", "198.51.100.0/24");
    const peer = await context.startPeer();
    const us = await context.startUs({ initiate: "respond", remote: { identity: "right.example" } });
    await peer.initiate("net");
    const { ike } = await expectUp(context, us, peer);
    match(ike.nat, /remote|both/);
    match(ike.remoteEndpoint, /^192\.0\.2\.254/);
    await withoutLoss(context, async () => {
      await peer.rekey({ ike: "site" });
      await expectUp(context, us, peer);
      await us.rekey(linkId, "child");
      await expectUp(context, us, peer);
    });
  },
};
