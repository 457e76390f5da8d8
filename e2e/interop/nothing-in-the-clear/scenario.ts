import { deepEqual, ok } from "node:assert/strict";
import { join } from "node:path";
import { startCapture } from "../../lib/capture.ts";
import { expectTraffic, expectUp, linkId, type Scenario } from "../scenario.ts";

export const scenario: Scenario = {
  name: "nothing-in-the-clear",
  description: "A capture between the sites, from the first message to the link's end, holds nothing but IKE and ESP",
  async run(context) {
    const capture = await startCapture(context.net.middle, "left0", join(context.directory, "middle.pcap"));
    const peer = await context.startPeer();
    const us = await context.startUs();
    await expectUp(context, us, peer);
    await us.rekey(linkId, "all");
    await expectUp(context, us, peer);
    await expectTraffic(context);
    await us.down(linkId);
    const packets = await capture.stop();
    const count = (kind: string) => packets.filter((packet) => packet.kind === kind).length;
    context.note(`${count("ike")} IKE, ${count("esp")} ESP, ${count("other")} other`);
    deepEqual(
      packets.filter((packet) => packet.kind === "other").map(({ ip }) => Buffer.from(ip).toString("hex")),
      [],
    );
    // Datagrams that were sent as one (UDP segmentation) are captured as one, so octets count: three times 40 echoes and answers of 84.
    const espOctets = packets.filter((packet) => packet.kind === "esp").reduce((sum, { ip }) => sum + ip.length, 0);
    ok(count("ike") >= 6 && espOctets >= 3 * 40 * 84, `${count("ike")} IKE packets and ${espOctets} octets of ESP were seen`);
  },
};
