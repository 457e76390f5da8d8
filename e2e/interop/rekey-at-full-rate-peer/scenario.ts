import { countedFlow } from "../counted-rekeys.ts";
import { expectNewChild, expectUp, linkId, type Scenario } from "../scenario.ts";

const REKEYS = 20;

export const scenario: Scenario = {
  name: "rekey-at-full-rate-peer",
  description: "20 Child SAs rekeyed by us and strongSwan in turn while numbered datagrams go as fast as they can: none lost, none twice, all in order",
  async run(context) {
    const peer = await context.startPeer();
    const us = await context.startUs();
    let { inboundSpi } = (await expectUp(context, us, peer)).child;
    await countedFlow(context, async () => {
      for (let times = 0; times < REKEYS; times++) {
        if (times % 2 === 0) await us.rekey(linkId, "child");
        else await peer.rekey({ child: "net" });
        ({ inboundSpi } = await expectNewChild(us, inboundSpi));
      }
    });
    await expectUp(context, us, peer);
  },
};
