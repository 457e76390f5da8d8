import { equal, ok } from "node:assert/strict";
import { join } from "node:path";
import { startCapture } from "../../lib/capture.ts";
import { expectTraffic, expectUp, linkId, type Scenario } from "../scenario.ts";

export const scenario: Scenario = {
  name: "force-encapsulation",
  description: "The peer forces UDP encapsulation where no NAT is: everything after IKE_SA_INIT goes by port 4500, ESP without exception",
  async run(context) {
    const capture = await startCapture(context.net.middle, "left0", join(context.directory, "middle.pcap"));
    const peer = await context.startPeer({ connection: { encap: true } });
    const us = await context.startUs();
    const { ike, child } = await expectUp(context, us, peer);
    equal(child.encapsulation, "udp");
    ok(ike.remoteEndpoint.endsWith("4500"), ike.remoteEndpoint);
    await us.rekey(linkId, "all");
    await expectUp(context, us, peer);
    await expectTraffic(context);
    const packets = await capture.stop();
    const elsewhere = packets.filter(({ destinationPort }) => destinationPort !== 4_500);
    equal(elsewhere.length, 2, "besides IKE_SA_INIT and its answer, something did not go to port 4500");
    ok(elsewhere.every(({ kind }) => kind === "ike"));
  },
};
