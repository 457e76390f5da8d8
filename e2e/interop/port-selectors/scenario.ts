import { equal, ok } from "node:assert/strict";
import { ping, throughput } from "../../lib/traffic.ts";
import { linkId, type Scenario } from "../scenario.ts";

export const scenario: Scenario = {
  name: "port-selectors",
  description: "The peer initiates for TCP port 5201 only: a stream to that port passes, echoes neither through the tunnel nor in the clear",
  async run(context) {
    const peer = await context.startPeer({ child: { local_ts: "10.2.0.0/24[tcp]", remote_ts: "10.1.0.0/24[tcp/5201]" } });
    const us = await context.startUs({ initiate: "respond" });
    await peer.initiate("net");
    await us.waitUntilUp(linkId);
    const { left, right } = context.net;
    ok((await throughput(right, left)).bytes > 1_000_000, "the stream stalled");
    equal((await ping(left, right, { count: 3, waitSeconds: 0.3 })).received, 0);
    equal((await peer.listSas()).length, 1);
  },
};
