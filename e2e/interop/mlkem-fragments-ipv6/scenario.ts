import { equal, match } from "node:assert/strict";
import { addOutsideIpv6 } from "../../lib/addresses.ts";
import { expectUp, linkId, type Scenario } from "../scenario.ts";

const ike = "aes256gcm16-prfsha384-x25519-ke1_mlkem768";

export const scenario: Scenario = {
  name: "mlkem-fragments-ipv6",
  description: "ML-KEM-768 and RSA-4096 certificates over IPv6, we initiate: IKE_INTERMEDIATE, IKE_AUTH and rekeys in fragments, ours put together by the peer",
  needsNewPeer: true,
  async run(context) {
    const { ours, peers } = await context.certificates("rsa-4096");
    const { left, right } = await addOutsideIpv6(context.net);
    const peer = await context.startPeer({
      ...peers,
      isNew: true,
      connection: { ...peers.connection, proposals: ike, local_addrs: right.outsideAddress, remote_addrs: left.outsideAddress },
      daemon: { fragment_size: 1_280 },
    });
    const us = await context.startUs({
      ...ours,
      ike: { proposals: [ike] },
      local: { address: left.outsideAddress, identity: "left.example" },
      remote: { address: right.outsideAddress, identity: "right.example" },
    });
    const first = await expectUp(context, us, peer);
    equal(first.ike.suite, ike);
    match(first.ike.remoteEndpoint, /^\[2001:db8:2::1\]:/);
    match(peer.log(), /received fragment #\d of \d, reassembled fragmented IKE message/);
    match(peer.log(), /splitting IKE message \(\d+ bytes\) into \d+ fragments/);
    await us.rekey(linkId, "ike");
    await us.waitForLink(linkId, "another IKE SA", ({ ikeSas }) => (ikeSas.some(({ spiI }) => spiI === first.ike.spiI) ? undefined : true));
    await peer.rekey({ ike: "site" });
    await expectUp(context, us, peer);
  },
};
