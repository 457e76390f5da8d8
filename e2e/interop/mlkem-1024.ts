import { equal } from "node:assert/strict";
import { expectNewChild, expectUp, linkId, withoutLoss, type Scenario } from "./scenario.ts";

const ike = "aes256gcm16-prfsha384-ecp384-ke1_mlkem1024";
const esp = "aes256gcm16-ecp384-ke1_mlkem1024";

/** A scenario with ECP-384 and ML-KEM-1024, the strongest pair, in every key exchange: of the handshake and of each kind of rekey. */
export function strongestHybrid(name: string, initiator: "us" | "peer"): Scenario {
  return {
    name,
    description: `ECP-384 and ML-KEM-1024, ${initiator === "us" ? "we initiate" : "the peer initiates"}: Child SA and IKE SA rekeyed from both ends with both, 0 lost`,
    needsNewPeer: true,
    async run(context) {
      const peer = await context.startPeer({ isNew: true, connection: { proposals: ike }, child: { esp_proposals: esp } });
      const us = await context.startUs({ initiate: initiator === "us" ? "start" : "respond", ike: { proposals: [ike] }, esp: { proposals: [esp] } });
      if (initiator === "peer") await peer.initiate("net");
      const first = await expectUp(context, us, peer);
      equal(first.ike.suite, ike);
      equal(first.ike.postQuantum, true);
      await withoutLoss(context, async () => {
        await us.rekey(linkId, "child");
        await expectNewChild(us, first.child.inboundSpi);
        const second = await expectUp(context, us, peer);
        equal(second.child.suite, esp);
        await peer.rekey({ child: "net" });
        await expectNewChild(us, second.child.inboundSpi);
        await us.rekey(linkId, "ike");
        await us.waitForLink(linkId, "another IKE SA", ({ ikeSas }) => (ikeSas.some(({ spiI }) => spiI === first.ike.spiI) ? undefined : true));
        await peer.rekey({ ike: "site" });
      });
      const last = await expectUp(context, us, peer);
      equal(last.ike.suite, ike);
      equal(last.child.suite, esp);
    },
  };
}
