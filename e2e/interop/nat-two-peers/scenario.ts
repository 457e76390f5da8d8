import { equal, match, notEqual } from "node:assert/strict";
import type { Agent } from "../../lib/agent.ts";
import type { Charon } from "../../lib/charon.ts";
import { expectTraffic, linkId, preSharedKey, withoutLoss, type Context, type Scenario } from "../scenario.ts";

export const scenario: Scenario = {
  name: "nat-two-peers",
  description: "Two peers behind one NAT, so with one address: each has its own link, and neither notices the other's rekeys nor its end",
  async run(context) {
    const { left, middle, right } = context.net;
    const peer = await context.startPeer();
    const third = await context.startThird();
    await middle.run(["nft", "-f", "-"], {
      input: 'table ip nat {\n chain out {\n  type nat hook postrouting priority 100;\n  oifname "left0" masquerade\n }\n}\n',
    });
    const us = await startUs(context);
    await Promise.all([peer.initiate("net"), third.peer.initiate("net")]);
    const [one, two] = await Promise.all([us.waitUntilUp(linkId), us.waitUntilUp("third")]);
    for (const { ike } of [one, two]) {
      equal(ike.nat, "remote");
      match(ike.remoteEndpoint, /^192\.0\.2\.254:/);
    }
    notEqual(one.ike.remoteEndpoint, two.ike.remoteEndpoint);
    const both = { net: { left, right } };
    const other = { net: { left, right: third.site } };
    await expectTraffic(both);
    await expectTraffic(other);
    await withoutLoss(context, async () => {
      await us.rekey("third", "all");
      await third.peer.rekey({ ike: "site" });
      await third.peer.rekey({ child: "net" });
      await us.rekey(linkId, "child");
      await expectTraffic(other);
      await third.peer.terminate({ ike: "site" });
      await us.waitForLink("third", "to be down", ({ ikeSas }) => (ikeSas.length === 0 ? true : undefined));
      await expectOne(us, peer);
      await third.peer.initiate("net");
      await us.waitUntilUp("third");
    });
    await expectTraffic(both);
    await expectTraffic(other);
    equal((await us.link(linkId)).ikeSas[0]?.spiI, one.ike.spiI);
  },
};

function startUs(context: Context): Promise<Agent> {
  const { links } = context.configuration({ initiate: "respond", remote: { identity: "right.example" } });
  const third = {
    ...links[0]!,
    id: "third",
    name: "Left to third",
    remote: { identity: "third.example" },
    authentication: { method: "psk" as const, keys: [{ id: "first", secret: preSharedKey }], use: "first" },
    children: [{ name: "net", localNetworks: ["10.1.0.0/24"], remoteNetworks: ["10.3.0.0/24"] }],
  };
  return context.startUsWith({ ...context.configuration(), links: [links[0]!, third] });
}

async function expectOne(us: Agent, peer: Charon): Promise<void> {
  equal((await us.link(linkId)).state, "up");
  equal((await peer.listSas()).length, 1);
}
