import { match, notEqual } from "node:assert/strict";
import { pingUntilAnswered } from "../../lib/traffic.ts";
import { pollUntil } from "../../lib/poll.ts";
import { type Context, expectTraffic, expectUp, linkId, type Scenario } from "../scenario.ts";

export const scenario: Scenario = {
  name: "nat-rebinding",
  description: "The NAT before the peer forgets it and gives it another port: the peer's next packet tells us (RFC 7296 §2.23), traffic and rekeys go on",
  async run(context) {
    const { middle, left, right } = context.net;
    await middle.run(["sysctl", "-q", "-w", "net.netfilter.nf_conntrack_udp_timeout=1", "net.netfilter.nf_conntrack_udp_timeout_stream=1"]);
    await natTo(context, "30000-30099");
    const peer = await context.startPeer();
    const us = await context.startUs({ initiate: "respond", remote: { identity: "right.example" } });
    await peer.initiate("net");
    const before = await expectUp(context, us, peer);
    match(before.ike.remoteEndpoint, /^192\.0\.2\.254:300\d\d$/);
    await natTo(context, "40000-40099");
    await pollUntil("the NAT to forget", 10_000, async () => ((await middle.run(["cat", "/proc/net/nf_conntrack"])).includes("udp") ? undefined : true));
    // The peer speaks first: nobody gets through to it from outside any more.
    await pingUntilAnswered(right, left, 5_000);
    const after = (await us.link(linkId)).ikeSas[0];
    match(after?.remoteEndpoint ?? "", /^192\.0\.2\.254:400\d\d$/);
    notEqual(after?.remoteEndpoint, before.ike.remoteEndpoint);
    await expectTraffic(context);
    await us.rekey(linkId, "child");
    await expectUp(context, us, peer);
    await us.rekey(linkId, "ike");
    await expectUp(context, us, peer);
    await expectTraffic(context);
  },
};

/** What the peer sends leaves the middle from these ports. */
async function natTo(context: Context, ports: string): Promise<void> {
  const rules = `table ip nat\ndelete table ip nat\ntable ip nat {\n chain out {\n  type nat hook postrouting priority 100;\n  oifname "left0" ip saddr 198.51.100.0/24 meta l4proto udp masquerade to :${ports}\n }\n}\n`;
  await context.net.middle.run(["nft", "-f", "-"], { input: rules });
}
