import { equal } from "node:assert/strict";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expectTraffic, expectUp, linkId, type Scenario } from "../scenario.ts";

export const scenario: Scenario = {
  name: "fqdn-address-changes",
  description: "The peer is known by name, which leads to an address where nobody is; the name is looked up again for a new attempt, and the link is up",
  async run(context) {
    // What `ip netns exec` puts in place of /etc/hosts.
    const directory = join("/etc/netns", context.net.left.name);
    mkdirSync(directory, { recursive: true });
    const nameLeadsTo = (address: string): void => writeFileSync(join(directory, "hosts"), `127.0.0.1 localhost\n${address} right.example\n`);
    try {
      nameLeadsTo("198.51.100.77");
      const peer = await context.startPeer();
      const us = await context.startUs({ remote: { address: "right.example", identity: "right.example" } });
      await us.waitForLink(linkId, "to be trying", (link) => (link.state === "negotiating" ? true : undefined));
      equal(/IKE_SA_INIT/.test(peer.log()), false);
      nameLeadsTo("198.51.100.1");
      await expectUp(context, us, peer, 30_000);
      await expectTraffic(context);
    } finally {
      rmSync(directory, { recursive: true });
    }
  },
};
