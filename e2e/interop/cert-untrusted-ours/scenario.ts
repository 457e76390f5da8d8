import { equal, match } from "node:assert/strict";
import { expectFailure, expectNoTraffic, type Scenario } from "../scenario.ts";

export const scenario: Scenario = {
  name: "cert-untrusted-ours",
  description: "The peer does not trust our authority and refuses us, whoever initiates: our sentence names the certificate, its dates and ours",
  async run(context) {
    const ours = await context.certificates("ecdsa-p256");
    const foreign = await context.certificates("ecdsa-p256");
    const { authentication } = ours.ours;
    if (authentication.method !== "certificate") throw new TypeError("Certificates are asked for.");
    const peer = await context.startPeer(foreign.peers);
    const theirs = foreign.peers.authorities ?? [];
    const us = await context.startUs({ initiate: "respond", authentication: { ...authentication, trustedAuthorities: [...theirs] } });
    const said =
      /^The peer refused to authenticate left\.example to right\.example: it does not accept the certificate "own" \(valid from \d{4}-\d\d-\d\d to \d{4}-\d\d-\d\d; it is \d{4}-\d\d-\d\d here\), or it expects other identities\.$/;
    equal((await peer.tryInitiate("net")).ok, false);
    context.note(await expectFailure(us, "AUTHENTICATION_FAILED", said));
    const before = (await us.link("link")).lastFailure?.at ?? 0;
    await us.up("link");
    await us.waitForLink("link", "to be refused as the initiator", ({ lastFailure }) =>
      lastFailure !== null && lastFailure.at > before && said.test(lastFailure.sentence) ? true : undefined,
    );
    match(peer.log(), /no trusted .*public key found for 'left\.example'/);
    await expectNoTraffic(context);
  },
};
