import { deepEqual } from "node:assert/strict";
import { pollUntil } from "../../lib/poll.ts";
import { linkId, withoutLoss, type Context, type Scenario } from "../scenario.ts";

const net = { name: "net", localNetworks: ["10.1.0.0/24"], remoteNetworks: ["10.2.0.0/24"] };
const other = { name: "other", localNetworks: ["10.11.0.0/24"], remoteNetworks: ["10.12.0.0/24"] };

export const scenario: Scenario = {
  name: "delete-child-by-us",
  description: "One of two Child SAs is taken out of our configuration: it is deleted at the peer, the other is not touched, 0 lost",
  async run(context) {
    // charon's userspace ESP wants an address of its own inside each local network.
    await context.net.left.run(["ip", "address", "add", "10.11.0.1/24", "dev", "in0"]);
    await context.net.right.run(["ip", "address", "add", "10.12.0.1/24", "dev", "in0"]);
    const children = {
      net: { local_ts: "10.2.0.0/24", remote_ts: "10.1.0.0/24", esp_proposals: "aes256gcm16-x25519" },
      other: { local_ts: "10.12.0.0/24", remote_ts: "10.11.0.0/24", esp_proposals: "aes256gcm16-x25519" },
    };
    const peer = await context.startPeer({ children });
    const us = await context.startUs({ children: [net, other] });
    const peersChildren = async () => (await peer.listSas()).flatMap((ike) => ike.children.map((child) => child.name)).toSorted();
    await pollUntil(
      "two Child SAs at the peer",
      10_000,
      async () => ((await peersChildren()).join() === "net,other" ? true : undefined),
      async () => (await peersChildren()).join(),
    );
    const before = await spiOfNet(us);
    await withoutLoss(context, async () => {
      await us.configure(withChildren(context));
      await pollUntil(
        "one Child SA at the peer",
        10_000,
        async () => ((await peersChildren()).join() === "net" ? true : undefined),
        async () => (await peersChildren()).join(),
      );
    });
    deepEqual(await spiOfNet(us), before, "the Child SA that stays was replaced");
  },
};

function withChildren(context: Context) {
  return { ...context.configuration({ children: [net] }), revision: 2 };
}

function spiOfNet(us: Awaited<ReturnType<Context["startUs"]>>): Promise<string> {
  return us.waitForLink(linkId, "to have its Child SA", (link) => link.ikeSas[0]?.childSas.find((child) => child.name === "net")?.inboundSpi);
}
