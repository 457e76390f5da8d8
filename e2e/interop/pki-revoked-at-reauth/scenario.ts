import { expectFailure, expectNoTraffic, expectUp, linkId } from "../scenario.ts";
import { revocationScenario } from "../revocation.ts";

export const scenario = revocationScenario({
  name: "pki-revoked-at-reauth",
  description: "The peer's certificate is revoked while the link is up: at the next authentication the peer is refused",
  asks: "list",
  policy: "soft",
  async prepare(authority, { net }) {
    await authority.publishList(7);
    await authority.serveLists(net.middle);
  },
  async check({ context, authority, peer, us }) {
    await peer.initiate("net");
    await expectUp(context, us, peer);
    await authority.revoke("right.example");
    await authority.publishList(3_600);
    // The list of before is good for seven seconds; until it has ended a new authentication would go by it.
    const refused = expectFailure(us, "AUTHENTICATION_FAILED", /CN=right\.example was revoked/);
    const again = setInterval(() => void us.command({ name: "reauthenticate", linkId }), 1_000);
    try {
      context.note(await refused);
    } finally {
      clearInterval(again);
    }
    await us.command({ name: "down", linkId });
    await expectNoTraffic(context);
  },
});
