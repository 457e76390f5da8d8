import { expectUp } from "../scenario.ts";
import { revocationScenario } from "../revocation.ts";

export const scenario = revocationScenario({
  name: "pki-ocsp-good",
  description: "The peer's certificate names an OCSP responder, which finds it good within the handshake: the link is up",
  asks: "ocsp",
  policy: "strict",
  prepare: (authority, { net }) => authority.serveOcsp(net.middle),
  async check({ context, peer, us }) {
    await peer.initiate("net");
    await expectUp(context, us, peer);
  },
});
