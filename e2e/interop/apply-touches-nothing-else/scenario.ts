import { deepEqual, equal } from "node:assert/strict";
import { expectTraffic, linkId, preSharedKey, withoutLoss, type LinkInput, type Scenario } from "../scenario.ts";

export const scenario: Scenario = {
  name: "apply-touches-nothing-else",
  description: "Both ends read their configuration again, then the other of two links is changed, taken out and put back: the first keeps its SAs, 0 lost",
  async run(context) {
    const { left } = context.net;
    const peer = await context.startPeer();
    const third = await context.startThird();
    const other = { net: { left, right: third.site } };
    const configuration = context.configuration();
    const first = configuration.links[0]!;
    const link: LinkInput = {
      ...first,
      id: "third",
      name: "Left to third",
      remote: { address: third.site.outsideAddress, identity: "third.example" },
      authentication: { method: "psk", keys: [{ id: "first", secret: preSharedKey }], use: "first" },
      children: [{ name: "net", localNetworks: ["10.1.0.0/24"], remoteNetworks: ["10.3.0.0/24"] }],
    };
    const us = await context.startUsWith({ ...configuration, links: [first, link] });
    const apply = (revision: number, links: readonly LinkInput[]) => us.configure({ ...configuration, revision, links: [...links] });
    const sasOf = async () => {
      const [ike, ...more] = (await us.link(linkId)).ikeSas;
      const [theirs, ...others] = await peer.listSas();
      const installed = theirs?.children.filter(({ state }) => state === "INSTALLED").map(({ spiOut }) => spiOut);
      return [ike?.spiI, ike?.childSas.map(({ inboundSpi }) => inboundSpi), more.length, theirs?.spiI, installed, others.length];
    };
    await Promise.all([us.waitUntilUp(linkId), us.waitUntilUp("third")]);
    await expectTraffic(other);
    const before = await sasOf();
    await withoutLoss(context, async () => {
      await peer.reload();
      await apply(2, [first, link]);
      await apply(3, [first, { ...link, esp: { proposals: ["aes256gcm16-x25519"], rekeySeconds: 1_800 } }]);
      await us.waitUntilUp("third");
      await expectTraffic(other);
      await apply(4, [first]);
      equal((await us.status()).links.length, 1);
      await apply(5, [first, link]);
      await us.waitUntilUp("third");
      await expectTraffic(other);
    });
    deepEqual(await sasOf(), before);
    await expectTraffic(context);
  },
};
