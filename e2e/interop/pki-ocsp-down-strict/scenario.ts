import { expectFailure, expectNoTraffic } from "../scenario.ts";
import { expectRefused, revocationScenario } from "../revocation.ts";

export const scenario = revocationScenario({
  name: "pki-ocsp-down-strict",
  description: "The OCSP responder is down and the policy strict: refused, and our sentence says who could not be asked",
  asks: "ocsp",
  policy: "strict",
  prepare: () => Promise.resolve(),
  async check(place) {
    await expectRefused(place);
    place.context.note(await expectFailure(place.us, "AUTHENTICATION_FAILED", /could not be found out: http:\/\/192\.0\.2\.254:2560\/ cannot be reached/));
    await expectNoTraffic(place.context);
  },
});
