import { equal, match, notEqual } from "node:assert/strict";
import { fillWithHalfOpen } from "../half-open.ts";
import { expectTraffic, expectUp, linkId, withoutLoss, type Scenario } from "../scenario.ts";

const limit = 20;

export const scenario: Scenario = {
  name: "half-open-limit-of-peer",
  description: "The peer is at its limit of half-open IKE SAs and answers nobody: the tunnel loses nothing, we try on, and are in when they end",
  async run(context) {
    const peer = await context.startPeer({
      connection: { remote_addrs: "%any" },
      daemon: { dos_protection: false, init_limit_half_open: limit, half_open_timeout: 12 },
    });
    const us = await context.startUs();
    const before = await expectUp(context, us, peer);
    const { begun, end } = await fillWithHalfOpen(context, context.net.right.outsideAddress, limit + 20);
    try {
      equal(begun, limit);
      await withoutLoss(context, async () => undefined);
      await us.down(linkId);
      const up = us.up(linkId);
      const { ike } = await us.waitUntilUp(linkId, 40_000);
      await up;
      notEqual(ike.spiI, before.ike.spiI);
      match(peer.log(), /ignoring IKE_SA setup from 192\.0\.2\.1, half-open IKE_SA limit of 20 reached/);
      await expectTraffic(context);
    } finally {
      end();
    }
    // What the other has begun is in the peer's list until it ends.
    await expectUp(context, us, peer, 20_000);
  },
};
