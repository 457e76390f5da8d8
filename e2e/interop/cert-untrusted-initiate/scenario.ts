import { equal } from "node:assert/strict";
import { expectFailure, expectNoTraffic, type Scenario } from "../scenario.ts";

export const scenario: Scenario = {
  name: "cert-untrusted-initiate",
  description: "The peer's certificate comes from another authority, we initiate: nothing comes up, and our sentence names who issued it",
  async run(context) {
    const ours = await context.certificates("ecdsa-p256");
    const foreign = await context.certificates("ecdsa-p256");
    const peer = await context.startPeer({
      ...foreign.peers,
      connection: { ...foreign.peers.connection, send_cert: "always" },
      authorities: [...(foreign.peers.authorities ?? []), ...(ours.peers.authorities ?? [])],
    });
    const us = await context.startUs(ours.ours);
    const sentence = await expectFailure(us, "AUTHENTICATION_FAILED", /issued by/);
    equal(
      sentence,
      "right.example is refused: the certificate of CN=right.example was issued by CN=Culvert test authority, which does not lead to an authority that this link trusts.",
    );
    context.note(sentence);
    equal((await peer.listSas()).filter(({ state }) => state === "ESTABLISHED").length, 0);
    await expectNoTraffic(context);
  },
};
