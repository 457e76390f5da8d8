import { equal, match } from "node:assert/strict";
import { expectFailure, expectNoTraffic, type Scenario } from "../scenario.ts";

export const scenario: Scenario = {
  name: "ts-unacceptable-respond",
  description: "The peer wants other networks, the peer initiates: it is told TS_UNACCEPTABLE, our sentence holds both sides' networks",
  async run(context) {
    const peer = await context.startPeer({ child: { local_ts: "10.9.0.0/24", remote_ts: "10.8.0.0/24" } });
    const us = await context.startUs({ initiate: "respond" });
    const { ok, output } = await peer.tryInitiate("net");
    equal(ok, false);
    match(output, /TS_UNACCEPTABLE|N\(TS_UNACCEPT\)/);
    const sentence = await expectFailure(us, "TS_UNACCEPTABLE", /10\.9\.0\.0/);
    match(sentence, /10\.2\.0\.0/);
    context.note(sentence);
    await expectNoTraffic(context);
  },
};
