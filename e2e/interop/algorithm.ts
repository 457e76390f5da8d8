import { expectNewChild, expectUp, linkId, withoutLoss, type Scenario } from "./scenario.ts";

/**
 * A scenario for one suite: both ends allow nothing else, for IKE and for ESP. After the first traffic each end rekeys the Child SA once, with
 * perfect forward secrecy, so that the suite's key exchange is used there as well.
 */
export function algorithmScenario(name: string, what: string, ike: string, esp: string): Scenario {
  return {
    name,
    description: `${what}: IKE ${ike}, ESP ${esp}, rekeyed from both ends`,
    async run(context) {
      const peer = await context.startPeer({ connection: { proposals: ike }, child: { esp_proposals: esp } });
      const us = await context.startUs({ ike: { proposals: [ike] }, esp: { proposals: [esp] } });
      const first = await expectUp(context, us, peer);
      await withoutLoss(context, async () => {
        await us.rekey(linkId, "child");
        await expectNewChild(us, first.child.inboundSpi);
        const second = await expectUp(context, us, peer);
        await peer.rekey({ child: "net" });
        await expectNewChild(us, second.child.inboundSpi);
      });
      await expectUp(context, us, peer);
    },
  };
}
