import { pollUntil } from "../../lib/poll.ts";
import { expectUp, linkId, withoutLoss, type Scenario } from "../scenario.ts";

export const scenario: Scenario = {
  name: "reauthenticate-by-peer",
  description: "The peer authenticates anew every 3 s, make before break: twice under a constant ping, 0 lost",
  async run(context) {
    const peer = await context.startPeer({
      connection: { reauth_time: "3s", over_time: "8s", rand_time: "0s" },
      daemon: { make_before_break: true },
    });
    const us = await context.startUs({ initiate: "respond" });
    await peer.initiate("net");
    await expectUp(context, us, peer);
    const seen = new Set<string>();
    await withoutLoss(context, () =>
      pollUntil(
        "two new IKE SAs",
        20_000,
        async () => {
          for (const ike of (await us.link(linkId)).ikeSas) seen.add(ike.spiI);
          return seen.size > 2 ? true : undefined;
        },
        () => `Seen: ${[...seen].join(", ")}`,
      ),
    );
    await expectUp(context, us, peer);
  },
};
