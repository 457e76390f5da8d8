import { match, ok } from "node:assert/strict";
import { addOutsideIpv6 } from "../lib/addresses.ts";
import { expectUp, linkId, type Scenario } from "./scenario.ts";

/** A scenario in which the peer sends IKE messages with RSA-4096 certificates in fragments of 300 octets (RFC 7383). */
export function smallFragments(name: string, outside: 4 | 6): Scenario {
  return {
    name,
    description: `RSA-4096 certificates over IPv${outside}, the peer's messages in fragments of 300 octets: reassembled, also at a rekey`,
    async run(context) {
      const { ours, peers } = await context.certificates("rsa-4096");
      const { left, right } = outside === 6 ? await addOutsideIpv6(context.net) : context.net;
      const addresses = { local_addrs: right.outsideAddress, remote_addrs: left.outsideAddress };
      const peer = await context.startPeer({
        ...peers,
        connection: { ...peers.connection, ...addresses, fragmentation: "force", send_cert: "always" },
        daemon: { fragment_size: 300 },
      });
      const us = await context.startUs({
        ...ours,
        initiate: "respond",
        local: { address: left.outsideAddress, identity: "left.example" },
        remote: { address: right.outsideAddress, identity: "right.example" },
      });
      await peer.initiate("net");
      await expectUp(context, us, peer);
      const [, fragments = "0"] = /splitting IKE message \(\d+ bytes\) into (\d+) fragments/.exec(peer.log()) ?? [];
      context.note(`${fragments} fragments`);
      ok(Number(fragments) >= 8, `the peer's IKE_AUTH came in ${fragments} fragments`);
      match(peer.log(), /received fragment #\d of \d, reassembled fragmented IKE message/);
      await us.rekey(linkId, "ike");
      await peer.rekey({ ike: "site" });
      await expectUp(context, us, peer);
    },
  };
}
