import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { startAgent, type Agent } from "../../lib/agent.ts";
import type { Site } from "../../lib/namespaces.ts";
import { expectTraffic, linkId, preSharedKey, withoutLoss, type Context, type Scenario } from "../scenario.ts";

export const scenario: Scenario = {
  name: "hub-relays-two-tunnels",
  description: "Our gateway as a hub, one tunnel to another of ours and one to strongSwan: the sites reach each other through both, rekeyed with 0 lost",
  async run(context) {
    const peer = await context.startPeer({ connection: { remote_addrs: "198.51.100.254" } });
    const hub = await startHub(context);
    try {
      const us = await context.startUs({ remote: { address: "192.0.2.254", identity: "right.example" } });
      await Promise.all([us.waitUntilUp(linkId), hub.waitUntilUp("to-left"), hub.waitUntilUp("to-right")]);
      await expectTraffic(context);
      await withoutLoss(context, async () => {
        await hub.rekey("to-left", "all");
        await hub.rekey("to-right", "all");
        await hub.waitUntilUp("to-left");
        await hub.waitUntilUp("to-right");
        await us.rekey(linkId, "child");
        await peer.rekey({ child: "net" });
      });
      await expectTraffic(context);
    } finally {
      await hub.kill();
    }
  },
};

/** In the middle, with each site's identity towards the other, so that the sites are as usual but for an address. */
function startHub({ net, directory }: Context): Promise<Agent> {
  const folder = join(directory, "hub");
  mkdirSync(folder);
  const site: Site = { ...net.middle, outsideAddress: "192.0.2.254", insideAddress: "192.0.2.254", network: "192.0.2.0/24", outsideDevice: "left0" };
  const authentication = { method: "psk" as const, keys: [{ id: "first", secret: preSharedKey }], use: "first" };
  return startAgent(site, folder, {
    schema: 1,
    revision: 1,
    gateway: { name: "hub", dataPlane: "tun" },
    links: [
      {
        id: "to-left",
        name: "Hub to left",
        initiate: "respond",
        local: { address: "192.0.2.254", identity: "right.example" },
        remote: { address: "192.0.2.1", identity: "left.example" },
        authentication,
        children: [{ name: "net", localNetworks: ["10.2.0.0/24"], remoteNetworks: ["10.1.0.0/24"] }],
      },
      {
        id: "to-right",
        name: "Hub to right",
        initiate: "start",
        local: { address: "198.51.100.254", identity: "left.example" },
        remote: { address: "198.51.100.1", identity: "right.example" },
        authentication,
        children: [{ name: "net", localNetworks: ["10.1.0.0/24"], remoteNetworks: ["10.2.0.0/24"] }],
      },
    ],
  });
}
