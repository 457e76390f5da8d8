import { match } from "node:assert/strict";
import { expectFailure, expectNoTraffic, type Scenario } from "../scenario.ts";

export const scenario: Scenario = {
  name: "ts-unacceptable-initiate",
  description: "The peer wants other networks, we initiate: our sentence names the networks that were refused",
  async run(context) {
    await context.startPeer({ child: { local_ts: "10.9.0.0/24", remote_ts: "10.8.0.0/24" } });
    const us = await context.startUs();
    const sentence = await expectFailure(us, "TS_UNACCEPTABLE", /10\.1\.0\.0/);
    match(sentence, /10\.2\.0\.0/);
    context.note(sentence);
    await expectNoTraffic(context);
  },
};
