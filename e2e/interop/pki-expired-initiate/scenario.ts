import { equal, match } from "node:assert/strict";
import { peerCertificateScenario } from "../peer-certificate.ts";
import { expectFailure, expectNoTraffic } from "../scenario.ts";

export const scenario = peerCertificateScenario({
  name: "pki-expired-initiate",
  description: "The peer's certificate has expired, we initiate: it is told, nothing comes up, and our sentence says when",
  initiate: "start",
  issue: async (authority) => ({
    left: await authority.issue("left.example"),
    right: await authority.issue("right.example", [], { dates: ["-startdate", "20250101000000Z", "-enddate", "20250201000000Z"] }),
  }),
  async check({ context, peer, us }) {
    const sentence = await expectFailure(us, "AUTHENTICATION_FAILED", /expired/);
    match(sentence, /^right\.example is refused: the certificate of CN=right\.example expired on 2025-02-01 \(it is \d{4}-\d\d-\d\d here\)\.$/);
    context.note(sentence);
    equal((await peer.listSas()).filter(({ state }) => state === "ESTABLISHED").length, 0);
    match(peer.log(), /N\(AUTH_FAILED\)/);
    await expectNoTraffic(context);
  },
});
