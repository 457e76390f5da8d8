import { expectNoTraffic, expectUp, linkId, type Scenario } from "../scenario.ts";

export const scenario: Scenario = {
  name: "delete-ike-by-peer-as-responder",
  description: "The peer deletes the IKE SA of a link that only waits: we are down and stay so until it comes back",
  async run(context) {
    const peer = await context.startPeer();
    const us = await context.startUs({ initiate: "respond" });
    await peer.initiate("net");
    await expectUp(context, us, peer);
    await peer.terminate({ ike: "site" });
    await us.waitForLink(linkId, "to be down", (link) => (link.state === "down" && link.ikeSas.length === 0 ? true : undefined));
    await expectNoTraffic(context);
    await peer.initiate("net");
    await expectUp(context, us, peer);
  },
};
