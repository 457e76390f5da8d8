import { expectNoTraffic, expectUp, linkId, type Scenario } from "../scenario.ts";

export const scenario: Scenario = {
  name: "dpd-peer-killed",
  description: "The peer dies without a word: liveness finds out, the link is down, and it is up again once the peer is back",
  async run(context) {
    const peer = await context.startPeer();
    const us = await context.startUs({ ike: { proposals: ["aes256gcm16-prfsha384-x25519"], livenessSeconds: 1 } });
    await expectUp(context, us, peer);
    await peer.kill();
    const started = performance.now();
    await us.waitForLink(linkId, "to be seen down", (link) => (link.state === "up" ? undefined : true), 60_000);
    context.note(`seen after ${Math.round((performance.now() - started) / 1_000)} s`);
    await expectNoTraffic(context);
    const again = await context.startPeer();
    await expectUp(context, us, again, 30_000);
  },
};
