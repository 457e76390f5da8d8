import { deepEqual, equal, ok } from "node:assert/strict";
import { join } from "node:path";
import { type CapturedPacket, startCapture } from "../../lib/capture.ts";
import { expectTraffic, expectUp, linkId, type Scenario } from "../scenario.ts";

/** Of the exchange type IKE_SA_INIT (RFC 7296 §3.1), which stands in a header's octet 18. */
const IKE_SA_INIT = 34;

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
    const elsewhere = (await capture.stop()).filter(({ destinationPort }) => destinationPort !== 4_500);
    ok(elsewhere.length >= 2, "IKE_SA_INIT and its answer were not seen");
    deepEqual(
      elsewhere.filter((packet) => !isIkeSaInit(packet)).map(({ ip }) => Buffer.from(ip).toString("hex")),
      [],
      "besides IKE_SA_INIT something did not go to port 4500",
    );
  },
};

/** Its message, its answer, or one of them once more. */
function isIkeSaInit({ kind, payload }: CapturedPacket): boolean {
  return kind === "ike" && payload[18] === IKE_SA_INIT;
}
