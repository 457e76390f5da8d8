import { equal, match, ok } from "node:assert/strict";
import { fillWithHalfOpen } from "../half-open.ts";
import { expectTraffic, expectUp, linkId, withoutLoss, type Scenario } from "../scenario.ts";

const limit = 1_024;

export const scenario: Scenario = {
  name: "half-open-limit",
  description:
    "An initiator that answers cookies and never authenticates fills us to the limit of 1,024 half-open IKE SAs: the tunnel loses nothing, and the peer gets in when they end",
  async run(context) {
    // Tries once a second until there is room.
    const peer = await context.startPeer({ daemon: { retransmit_timeout: 1, retransmit_base: 1, retransmit_tries: 90 } });
    const us = await context.startUs({ initiate: "respond", remote: { identity: "right.example" } });
    await peer.initiate("net");
    const before = await expectUp(context, us, peer);
    const { begun, cookies, more, end } = await fillWithHalfOpen(context, context.net.left.outsideAddress, limit + 200);
    try {
      equal(begun, limit);
      ok(cookies >= limit / 2, `a cookie was asked for ${cookies} times`);
      await withoutLoss(context, async () => undefined, 200);
      equal((await us.link(linkId)).ikeSas[0]?.spiI, before.ike.spiI);
      await peer.terminate({ ike: "site" });
      // swanctl waits 10 s; charon itself tries on.
      equal((await peer.tryInitiate("net")).ok, false);
      match(peer.log(), /parsed IKE_SA_INIT response 0 \[ N\(COOKIE\) \]/);
      match(peer.log(), /retransmit \d+ of request with message ID 0/);
      await expectUp(context, us, peer, 60_000);
      context.note(`${begun} half open, ${more()} more after they ended`);
    } finally {
      end();
    }
    await expectTraffic(context);
  },
};
