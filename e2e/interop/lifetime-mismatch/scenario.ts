import { equal, match } from "node:assert/strict";
import { pollUntil } from "../../lib/poll.ts";
import { expectNewChild, expectUp, linkId, type Scenario } from "../scenario.ts";

export const scenario: Scenario = {
  name: "lifetime-mismatch",
  description: "The peer never rekeys and deletes its Child SA after 2 s, we rekey after an hour: a new one is made, and a finding has both times",
  async run(context) {
    const peer = await context.startPeer({ child: { rekey_time: "0s", life_time: "2s" } });
    const us = await context.startUs();
    const first = await expectUp(context, us, peer);
    await expectNewChild(us, first.child.inboundSpi);
    await expectUp(context, us, peer);
    match(peer.log(), /closing expired CHILD_SA net\{1\}/);
    const told = await pollUntil("the finding", 5_000, async () => (await us.trace(linkId)).find(({ detail }) => detail["finding"] === "SA_LIFETIME_MISMATCH"));
    match(
      told.summary,
      /^The peer deleted the Child SA "net" after [23] s without rekeying it; this side rekeys after 60 min: the peer was told to, closes what carries nothing, or its lifetime is shorter\.$/,
    );
    context.note(told.summary);
    equal((await us.link(linkId)).lastFailure, null);
  },
};
