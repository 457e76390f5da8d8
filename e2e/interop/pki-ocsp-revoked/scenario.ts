import { expectFailure, expectNoTraffic } from "../scenario.ts";
import { expectRefused, revocationScenario } from "../revocation.ts";

export const scenario = revocationScenario({
  name: "pki-ocsp-revoked",
  description: "The OCSP responder says that the peer's certificate is revoked: refused, and our sentence says since when and why",
  asks: "ocsp",
  policy: "soft",
  async prepare(authority, { net }) {
    await authority.revoke("right.example");
    await authority.serveOcsp(net.middle);
  },
  async check(place) {
    await expectRefused(place);
    place.context.note(await expectFailure(place.us, "AUTHENTICATION_FAILED", /CN=right\.example was revoked by its authority on .* \(keyCompromise\)/));
    await expectNoTraffic(place.context);
  },
});
