import { notEqual, ok } from "node:assert/strict";
import { pollUntil } from "../../lib/poll.ts";
import { orderFault, outageOf, startUsMortal } from "../plane-fault.ts";
import { expectUp, type Scenario } from "../scenario.ts";

export const scenario: Scenario = {
  name: "fault-plane-rebuilt",
  description: "Our inbound worker dies again and again: the data plane is given up, another is made, the link negotiated anew within 3 s of that",
  async run(context) {
    const peer = await context.startPeer();
    const us = await startUsMortal(context);
    const first = await expectUp(context, us, peer);
    const deaths = () => us.log().split("inbound worker failed: killed by the test").length - 1;
    const { outageMs } = await outageOf(
      context,
      async () => {
        for (let times = 1; times <= 3; times++) {
          orderFault(context, "inbound", "throw");
          await pollUntil(`death ${times}`, 5_000, async () => (deaths() === times ? true : undefined));
          await expectUp(context, us, peer);
        }
        orderFault(context, "inbound", "throw");
        await pollUntil("the plane to fail", 5_000, async () => (us.log().includes("the data plane failed") ? true : undefined), undefined, 5);
      },
      () => us.waitForLink("link", "to be negotiated anew", ({ state, ikeSas }) => (state === "up" && ikeSas[0]?.spiI !== first.ike.spiI ? true : undefined)),
    );
    ok(outageMs < 20_000, `${outageMs} ms`);
    const now = await expectUp(context, us, peer);
    notEqual(now.ike.spiI, first.ike.spiI);
  },
};
