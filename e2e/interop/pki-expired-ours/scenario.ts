import { equal, match } from "node:assert/strict";
import { peerCertificateScenario } from "../peer-certificate.ts";
import { expectFailure, expectNoTraffic } from "../scenario.ts";

export const scenario = peerCertificateScenario({
  name: "pki-expired-ours",
  description: "Our own certificate has expired: the peer refuses us, and our sentence has its dates beside today's",
  initiate: "start",
  issue: async (authority) => ({
    left: await authority.issue("left.example", [], { dates: ["-startdate", "20250101000000Z", "-enddate", "20250201000000Z"] }),
    right: await authority.issue("right.example"),
  }),
  async check({ context, peer, us }) {
    const sentence = await expectFailure(us, "AUTHENTICATION_FAILED", /refused to authenticate/);
    match(
      sentence,
      /^The peer refused to authenticate left\.example to right\.example: it does not accept the certificate "own" \(valid from 2025-01-01 to 2025-02-01; it is \d{4}-\d\d-\d\d here\), or it expects other identities\.$/,
    );
    context.note(sentence);
    match(peer.log(), /certificate expired|subject certificate invalid/);
    equal((await peer.listSas()).length, 0);
    await expectNoTraffic(context);
  },
});
