import { equal } from "node:assert/strict";
import { expectTraffic, expectUp, linkId, type Scenario } from "../scenario.ts";

export const scenario: Scenario = {
  name: "trap-on-demand",
  description: "Nothing is begun until a packet wants through: the first echoes bring the link up, once, and after the peer has closed it the next do again",
  async run(context) {
    const peer = await context.startPeer();
    const us = await context.startUs({ initiate: "onDemand" });
    const { left, right } = context.net;
    const knock = async (): Promise<void> => {
      await left.run(["ping", "-q", "-c", "10", "-i", "0.3", "-W", "1", "-I", left.insideAddress, right.insideAddress], { timeoutMilliseconds: 10_000 });
    };
    equal((await us.link(linkId)).ikeSas.length, 0);
    equal(/IKE_SA_INIT/.test(peer.log()), false, "something was begun without a packet");
    await knock();
    const first = await expectUp(context, us, peer);
    await expectTraffic(context);
    equal(peer.log().match(/parsed IKE_SA_INIT request/g)?.length, 1);
    await peer.terminate({ ike: "site" });
    await us.waitForLink(linkId, "no IKE SA", (link) => (link.ikeSas.length === 0 ? true : undefined));
    await knock();
    const second = await expectUp(context, us, peer);
    equal(first.ike.spiI === second.ike.spiI, false);
    await expectTraffic(context);
  },
};
