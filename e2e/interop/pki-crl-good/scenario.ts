import { expectUp } from "../scenario.ts";
import { revocationScenario } from "../revocation.ts";

export const scenario = revocationScenario({
  name: "pki-crl-good",
  description: "The peer's certificate names a revocation list that it is not on: fetched within the handshake, and the link is up",
  asks: "list",
  policy: "strict",
  async prepare(authority, { net }) {
    await authority.issue("other.example");
    await authority.revoke("other.example");
    await authority.publishList(3_600);
    await authority.serveLists(net.middle);
  },
  async check({ context, peer, us }) {
    await peer.initiate("net");
    await expectUp(context, us, peer);
  },
});
