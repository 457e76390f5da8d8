import { equal, match } from "node:assert/strict";
import { expectUp, linkId, withoutLoss, type Scenario } from "../scenario.ts";

export const scenario: Scenario = {
  name: "nat-before-us",
  description: "We sit behind a NAT: detected, everything moves to port 4500, traffic and rekeys from both ends pass",
  async run(context) {
    await context.masquerade("right0", "192.0.2.0/24");
    const peer = await context.startPeer({ connection: { remote_addrs: "%any" } });
    const us = await context.startUs();
    const { ike, child } = await expectUp(context, us, peer);
    match(ike.nat, /local|both/);
    match(ike.remoteEndpoint, /4500$/);
    equal(child.encapsulation, "udp");
    match(peer.log(), /remote host is behind NAT/);
    await withoutLoss(context, async () => {
      await us.rekey(linkId, "all");
      await expectUp(context, us, peer);
      await peer.rekey({ ike: "site" });
      await peer.rekey({ child: "net" });
      await expectUp(context, us, peer);
    });
  },
};
