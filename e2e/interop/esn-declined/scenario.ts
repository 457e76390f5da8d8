import { doesNotMatch } from "node:assert/strict";
import { expectNewChild, expectUp, linkId, type Scenario } from "../scenario.ts";

export const scenario: Scenario = {
  name: "esn-declined",
  description: "We offer extended sequence numbers or plain ones, the peer knows only plain ones: those are used, at the rekey too",
  async run(context) {
    const peer = await context.startPeer();
    const us = await context.startUs({ esp: { proposals: ["aes256gcm16-x25519-esn-noesn"] } });
    const first = await expectUp(context, us, peer);
    doesNotMatch(first.child.suite, /esn/);
    await us.rekey(linkId, "child");
    await expectNewChild(us, first.child.inboundSpi);
    const { child } = await expectUp(context, us, peer);
    doesNotMatch(child.suite, /esn/);
  },
};
