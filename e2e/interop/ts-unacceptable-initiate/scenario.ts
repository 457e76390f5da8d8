import { expectNoTraffic, expectSentence, type Scenario } from "../scenario.ts";

export const scenario: Scenario = {
  name: "ts-unacceptable-initiate",
  description: "The peer wants other networks, we initiate: our sentence names the networks that were refused",
  async run(context) {
    await context.startPeer({ child: { local_ts: "10.9.0.0/24", remote_ts: "10.8.0.0/24" } });
    const us = await context.startUs();
    const sentence = 'The peer accepts no part of the networks of "net": this side asked for 10.1.0.0/24 to 10.2.0.0/24.';
    await expectSentence(context, us, "TS_UNACCEPTABLE", sentence);
    await expectNoTraffic(context);
  },
};
