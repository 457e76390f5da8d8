import { equal, match, notEqual } from "node:assert/strict";
import { observedState } from "../../../contract/observed-state.ts";
import { expectNewChild, expectUp, linkId, type Scenario } from "../scenario.ts";

export const scenario: Scenario = {
  name: "command-line",
  description: "The gateway without a console: status, rekey, trace, down and up from its command line",
  async run(context) {
    const peer = await context.startPeer();
    const us = await context.startUs();
    const { ike, child } = await expectUp(context, us, peer);
    const status = observedState.parse(JSON.parse(await us.commandLine(["status", "--json"])));
    equal(status.links[0]?.ikeSas[0]?.spiI, ike.spiI);
    match(await us.commandLine(["status"]), /up/i);
    await us.commandLine(["rekey", linkId, "--child"]);
    notEqual((await expectNewChild(us, child.inboundSpi)).outboundSpi, child.outboundSpi);
    match(await us.commandLine(["trace", linkId]), /IKE_SA_INIT[^]*IKE_AUTH[^]*CREATE_CHILD_SA/);
    await us.commandLine(["down", linkId]);
    await us.waitForLink(linkId, "to be down", ({ state }) => (state === "down" ? true : undefined));
    await us.commandLine(["up", linkId]);
    await expectUp(context, us, peer);
  },
};
