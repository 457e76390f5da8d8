import { equal } from "node:assert/strict";
import { expectNoTraffic, expectSentence, type Scenario } from "../scenario.ts";

export const scenario: Scenario = {
  name: "cert-untrusted",
  description: "The peer's certificate comes from another authority: refused, and our sentence says so",
  async run(context) {
    const ours = await context.certificates("ecdsa-p256");
    const foreign = await context.certificates("ecdsa-p256");
    const peer = await context.startPeer({ ...foreign.peers, authorities: [...(foreign.peers.authorities ?? []), ...(ours.peers.authorities ?? [])] });
    const us = await context.startUs({ ...ours.ours, initiate: "respond" });
    equal((await peer.tryInitiate("net")).ok, false);
    const sentence =
      "right.example is refused: the certificate of CN=right.example was issued by CN=Culvert test authority, which does not lead to an authority that this link trusts.";
    await expectSentence(context, us, "AUTHENTICATION_FAILED", sentence);
    await expectNoTraffic(context);
  },
};
