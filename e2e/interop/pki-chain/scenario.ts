import { expectUp } from "../scenario.ts";
import { peerCertificateScenario } from "../peer-certificate.ts";

export const scenario = peerCertificateScenario({
  name: "pki-chain",
  description: "Both ends' certificates come from intermediate authorities that only their owners hold: each sends the chain, each trusts the root alone",
  async issue(authority) {
    const ours = await authority.issueAuthority("left-authority");
    const theirs = await authority.issueAuthority("right-authority");
    const left = await authority.issue("left.example", [], { by: "left-authority" });
    const right = await authority.issue("right.example", [], { by: "right-authority" });
    return { left: { ...left, certificatePem: `${left.certificatePem}${ours.certificatePem}` }, right, rightChain: [theirs] };
  },
  async check({ context, peer, us }) {
    await peer.initiate("net");
    await expectUp(context, us, peer);
  },
});
