import { expectFailure, expectNoTraffic, linkId } from "../scenario.ts";
import { expectRefused, revocationScenario } from "../revocation.ts";

export const scenario = revocationScenario({
  name: "pki-crl-revoked",
  description: "The peer's certificate is on its authority's revocation list: refused, and our sentence says since when and why",
  asks: "list",
  policy: "soft",
  async prepare(authority, { net }) {
    await authority.revoke("right.example");
    await authority.publishList(3_600);
    await authority.serveLists(net.middle);
  },
  async check(place) {
    await expectRefused(place);
    place.context.note(await expectFailure(place.us, "AUTHENTICATION_FAILED", /CN=right\.example was revoked by its authority on .* \(keyCompromise\)/));
    await expectNoTraffic(place.context);
    await place.us.link(linkId);
  },
});
