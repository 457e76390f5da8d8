import { deepEqual, equal } from "node:assert/strict";
import { expectNoTraffic, linkId, preSharedKey, type Scenario } from "../scenario.ts";

export const scenario: Scenario = {
  name: "peer-silent",
  description:
    "Nobody answers at one address, and on the way to another peer UDP port 4500 is dropped: our sentences say which port, how often and what is likely in the way",
  async run(context) {
    const { middle } = context.net;
    await middle.run(["nft", "-f", "-"], {
      input: "table ip filter {\n chain forward {\n  type filter hook forward priority 0;\n  udp dport 4500 drop\n }\n}\n",
    });
    const peer = await context.startPeer();
    const { links } = context.configuration();
    const nobody = {
      ...links[0]!,
      id: "nobody",
      name: "Left to nobody",
      remote: { address: "198.51.100.77", identity: "nobody.example" },
      authentication: { method: "psk" as const, keys: [{ id: "first", secret: preSharedKey }], use: "first" },
      children: [{ name: "net", localNetworks: ["10.1.0.0/24"], remoteNetworks: ["10.3.0.0/24"] }],
    };
    const us = await context.startUsWith({ ...context.configuration(), links: [links[0]!, nobody] });
    const said = (id: string) => us.waitForLink(id, "to be given up", ({ lastFailure }) => (lastFailure === null ? undefined : lastFailure), 60_000);
    const [blocked, absent] = await Promise.all([said(linkId), said("nobody")]);
    deepEqual([blocked.code, absent.code], ["PEER_SILENT", "PEER_SILENT"]);
    equal(
      blocked.sentence,
      "The peer is silent: IKE_AUTH to 198.51.100.1 port 4500 was sent 6 times without an answer; IKE_SA_INIT was answered on another port, so a NAT or firewall is likely to drop UDP port 4500.",
    );
    equal(
      absent.sentence,
      "The peer is silent: IKE_SA_INIT to 198.51.100.77 port 500 was sent 6 times without an answer; no gateway may run there, or a NAT or firewall is likely to drop UDP on that port.",
    );
    equal((await peer.listSas()).filter(({ state }) => state === "ESTABLISHED").length, 0);
    await expectNoTraffic(context);
  },
};
