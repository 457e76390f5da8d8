import { match } from "node:assert/strict";
import { type Context, expectNewChild, expectUp, linkId, type Scenario, withoutLoss } from "./scenario.ts";

/** ESP with AES-GCM of the library that `environment` leads our gateway to, and that `status` names so. */
export function aesGcmScenario(name: string, what: string, environment: (context: Context) => Record<string, string>, named: RegExp): Scenario {
  return {
    name,
    description: `ESP with AES-GCM ${what}, rekeyed without a packet lost, and status says by whom it is done`,
    async run(context) {
      const peer = await context.startPeer({ child: { esp_proposals: "aes256gcm16-x25519" } });
      const us = await context.startUs({ esp: { proposals: ["aes256gcm16-x25519"] } }, { env: environment(context) });
      const first = await expectUp(context, us, peer);
      const { planeReason } = await us.status();
      match(planeReason, named);
      context.note(planeReason);
      await withoutLoss(context, async () => {
        await us.rekey(linkId, "child");
        await expectNewChild(us, first.child.inboundSpi);
      });
      await expectUp(context, us, peer);
    },
  };
}
