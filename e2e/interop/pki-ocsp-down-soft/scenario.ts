import { match } from "node:assert/strict";
import { expectUp, linkId } from "../scenario.ts";
import { revocationScenario } from "../revocation.ts";

export const scenario = revocationScenario({
  name: "pki-ocsp-down-soft",
  description: "The OCSP responder is down and the policy soft: the link is up, and the trace says what could not be found out",
  asks: "ocsp",
  policy: "soft",
  prepare: () => Promise.resolve(),
  async check({ context, peer, us }) {
    await peer.initiate("net");
    await expectUp(context, us, peer);
    const findings = (await us.trace(linkId)).filter((entry) => entry.detail["finding"] === "REVOCATION_UNKNOWN").map((entry) => entry.summary);
    match(
      findings[0] ?? "",
      /let in, but whether the certificate of CN=right\.example is revoked could not be found out: http:\/\/192\.0\.2\.254:2560\/ cannot be reached/,
    );
    context.note(findings[0]!);
  },
});
