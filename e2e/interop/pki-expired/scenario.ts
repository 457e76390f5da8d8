import { equal } from "node:assert/strict";
import { expectFailure, expectNoTraffic } from "../scenario.ts";
import { peerCertificateScenario } from "../peer-certificate.ts";

export const scenario = peerCertificateScenario({
  name: "pki-expired",
  description: "The peer's certificate has expired: refused, and our sentence says when",
  issue: async (authority) => ({
    left: await authority.issue("left.example"),
    right: await authority.issue("right.example", [], { dates: ["-startdate", "20250101000000Z", "-enddate", "20250201000000Z"] }),
  }),
  async check({ context, peer, us }) {
    equal((await peer.tryInitiate("net")).ok, false);
    context.note(await expectFailure(us, "AUTHENTICATION_FAILED", /CN=right\.example expired on 2025-02-01/));
    await expectNoTraffic(context);
  },
});
