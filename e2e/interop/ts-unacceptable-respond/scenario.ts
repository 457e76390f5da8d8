import { equal, match } from "node:assert/strict";
import { expectNoTraffic, expectSentence, type Scenario } from "../scenario.ts";

export const scenario: Scenario = {
  name: "ts-unacceptable-respond",
  description: "The peer wants other networks, the peer initiates: it is told TS_UNACCEPTABLE, our sentence holds both sides' networks",
  async run(context) {
    const peer = await context.startPeer({ child: { local_ts: "10.9.0.0/24", remote_ts: "10.8.0.0/24" } });
    const us = await context.startUs({ initiate: "respond" });
    const { ok, output } = await peer.tryInitiate("net");
    equal(ok, false);
    match(output, /TS_UNACCEPTABLE|N\(TS_UNACCEPT\)/);
    const sentence = "The peer asks for traffic from 10.9.0.0/24 to 10.8.0.0/24; this side allows 10.2.0.0/24 to 10.1.0.0/24.";
    await expectSentence(context, us, "TS_UNACCEPTABLE", sentence);
    await expectNoTraffic(context);
  },
};
