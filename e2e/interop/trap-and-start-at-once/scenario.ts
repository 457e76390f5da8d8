import { equal } from "node:assert/strict";
import { expectTraffic, expectUp, type Context, type Scenario } from "../scenario.ts";

export const scenario: Scenario = {
  name: "trap-and-start-at-once",
  description: "Our packet wakes the link while the peer starts it, then we crash and come back amid traffic: each time one IKE SA with one Child SA stays",
  async run(context) {
    const peer = await context.startPeer();
    const link = {
      initiate: "onDemand" as const,
      ike: { proposals: ["aes256gcm16-prfsha384-x25519"], livenessSeconds: 2, livenessAction: "restart" as const },
    };
    const us = await context.startUs(link);
    await Promise.all([knock(context), peer.tryInitiate("net")]);
    await expectUp(context, us, peer, 40_000);
    await us.kill();
    const again = await context.startUs(link);
    await Promise.all([knock(context), peer.tryInitiate("net")]);
    await expectUp(context, again, peer, 40_000);
    await expectTraffic(context);
    equal((await peer.listSas()).flatMap(({ children }) => children).length, 1);
  },
};

/** Packets that want through, the first of which are lost. */
async function knock({ net }: Context): Promise<void> {
  await net.left.try(["ping", "-q", "-c", "10", "-i", "0.2", "-W", "1", "-I", net.left.insideAddress, net.right.insideAddress], {
    timeoutMilliseconds: 10_000,
  });
}
