import { deepEqual } from "node:assert/strict";
import { addInside } from "../../lib/addresses.ts";
import type { Agent } from "../../lib/agent.ts";
import { pollUntil } from "../../lib/poll.ts";
import { expectTraffic, linkId, type Scenario } from "../scenario.ts";

const networks = { net: "10.2.0.0/24", office: "10.12.0.0/24", plant: "10.13.0.0/24" };
const names = Object.keys(networks);

export const scenario: Scenario = {
  name: "several-children",
  description: "Three Child SAs in one IKE SA: each carries its own network, through rekeys of each Child SA and of the IKE SA",
  async run(context) {
    const { net } = context;
    const rights = [net.right, await addInside(net.right, "10.12.0.1/24"), await addInside(net.right, "10.13.0.1/24")];
    const everywhere = async () => {
      for (const right of rights) await expectTraffic({ net: { ...net, right } });
    };
    const child = (network: string) => ({ local_ts: network, remote_ts: "10.1.0.0/24", esp_proposals: "aes256gcm16-x25519" });
    const peer = await context.startPeer({ children: Object.fromEntries(Object.entries(networks).map(([name, network]) => [name, child(network)])) });
    const us = await context.startUs({
      children: Object.entries(networks).map(([name, network]) => ({ name, localNetworks: ["10.1.0.0/24"], remoteNetworks: [network] })),
    });
    const first = await expectThree(us, new Map());
    await everywhere();
    await us.rekey(linkId, "child");
    const second = await expectThree(us, first);
    await everywhere();
    for (const name of names) await peer.rekey({ child: name });
    const third = await expectThree(us, second);
    await everywhere();
    await us.rekey(linkId, "ike");
    await peer.rekey({ ike: "site" });
    await everywhere();
    // Both ends may have rekeyed it at once: one of two is given up then.
    const ike = await pollUntil("the peer to hold one IKE SA", 15_000, async () => {
      const [only, ...more] = await peer.listSas();
      return more.length === 0 ? only : undefined;
    });
    const installed = ike.children.filter(({ state }) => state === "INSTALLED");
    deepEqual(Object.fromEntries(installed.map(({ name, spiOut }) => [name, spiOut])), Object.fromEntries(third));
  },
};

/** Waits until there is one established Child SA of each name, none of them with an SPI of `before`. @returns our inbound SPIs by name. */
function expectThree(us: Agent, before: ReadonlyMap<string, string>): Promise<Map<string, string>> {
  return us.waitForLink(linkId, `Child SAs ${names.join(", ")}`, ({ ikeSas }) => {
    const children = ikeSas.flatMap((ike) => ike.childSas).filter(({ state }) => state === "established");
    const spis = new Map(names.flatMap((name) => children.filter((child) => child.name === name).map((child) => [name, child.inboundSpi] as const)));
    const isNew = [...spis].every(([name, spi]) => before.get(name) !== spi);
    return children.length === names.length && spis.size === names.length && isNew ? spis : undefined;
  });
}
