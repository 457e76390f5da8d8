import { equal, ok } from "node:assert/strict";
import { ping, throughput } from "../../lib/traffic.ts";
import { linkId, type Scenario } from "../scenario.ts";

export const scenario: Scenario = {
  name: "port-selectors-by-peer",
  description: "The peer narrows to TCP port 5201 of its network: a stream to that port passes, echoes neither through the tunnel nor in the clear",
  async run(context) {
    const peer = await context.startPeer({ child: { local_ts: "10.2.0.0/24[tcp/5201]", remote_ts: "10.1.0.0/24[tcp]" } });
    const us = await context.startUs();
    await us.waitUntilUp(linkId);
    const { left, right } = context.net;
    ok((await throughput(left, right)).bytes > 1_000_000, "the stream stalled");
    equal((await ping(left, right, { count: 3, waitSeconds: 0.3 })).received, 0);
    equal((await peer.listSas()).length, 1);
  },
};
